#!/usr/bin/env bash
# Versions: uvloop 0.23.0, CPython 3.11 to 3.13.
#
# A handler of `signal.signal` that raises ends what the main thread does, which many programs use for a timeout with SIGALRM.
# In the loop of asyncio that waits, the exception leaves `run`.
# uvloop gives it to the exception handler of the loop, which prints it, and the program waits on as if nothing had happened.
#
# Source: `_ceval_process_signals` of uvloop/loop.pyx lets the handler run in a callback of the loop. Where the exception goes was observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'uvloop==0.23.0'
cat > "$work/show.py" <<'EOF'
import asyncio
import signal

import uvloop

told = []


def alarm(*_):
    raise TimeoutError("the program takes too long")


async def work():
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(type(context["exception"])))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    await asyncio.sleep(1)
    return "went on"


def seen(run):
    told.clear()
    signal.signal(signal.SIGALRM, alarm)
    try:
        return run(work()), list(told)
    except TimeoutError as error:
        return f"raised {error!r}", list(told)


print("asyncio", seen(asyncio.run))
print("uvloop", seen(uvloop.run))
assert seen(asyncio.run) == ("raised TimeoutError('the program takes too long')", [])
assert seen(uvloop.run) == ("went on", [TimeoutError])
EOF
"$work/venv/bin/python" "$work/show.py"
