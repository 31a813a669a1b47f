#!/usr/bin/env bash
# Versions: uvloop 0.23.0, CPython 3.11 to 3.13.
#
# `loop.call_later` is documented to return a TimerHandle, whose `when` tells the time.
# uvloop rounds the delay to whole milliseconds. For less than half of one it returns another class, without `when`.
# So a program that compares `handle.when()` works until a deadline is close.
#
# Source: `call_later` of uvloop/loop.pyx.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'uvloop==0.23.0'
cat > "$work/show.py" <<'EOF'
import asyncio

import uvloop


async def kinds():
    loop = asyncio.get_running_loop()
    return [(seconds, hasattr(loop.call_later(seconds, print), "when")) for seconds in (0.0004, 0.1)]


print("asyncio", asyncio.run(kinds()))
print("uvloop", uvloop.run(kinds()))
assert asyncio.run(kinds()) == [(0.0004, True), (0.1, True)]
assert uvloop.run(kinds()) == [(0.0004, False), (0.1, True)]
EOF
"$work/venv/bin/python" "$work/show.py"
