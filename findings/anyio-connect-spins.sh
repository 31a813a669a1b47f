#!/usr/bin/env bash
# Versions: anyio 4.16.0, CPython 3.11 to 3.13, Linux 6.18.
#
# A program waits in `anyio.connect_unix`, on asyncio, for a listener whose backlog is full.
# One expects it to sleep until the listener accepts somebody, or to raise.
# It uses a whole core until it is cancelled: it tries again whenever the socket is writable, and an unconnected unix socket always is.
# The other tasks of the loop go on, so only the use of the processor shows it.
#
# Source: anyio/_backends/_asyncio.py, `connect_unix`; observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check anyio==4.16.0
cat > "$work/show.py" <<'EOF'
import asyncio
import socket
import sys
import time

import anyio

path = sys.argv[1] + "/socket"
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(0)
waiting = socket.socket(socket.AF_UNIX)
waiting.connect(path)  # fills the backlog


class Counting(asyncio.SelectorEventLoop):
    """Counts the turns of the loop."""

    turns = 0

    def _run_once(self):
        self.turns += 1
        super()._run_once()


async def main():
    loop = asyncio.get_running_loop()
    before, begun = loop.turns, time.process_time()
    with anyio.move_on_after(2) as scope:
        await anyio.connect_unix(path)
    used = time.process_time() - begun
    print(f"cancelled: {scope.cancelled_caught}, turns of the loop: {loop.turns - before}, processor: {used:.1f} s of 2")
    assert scope.cancelled_caught and loop.turns - before > 1000
    before = loop.turns
    await asyncio.sleep(2)
    print("asleep for as long:", loop.turns - before)
    assert loop.turns - before < 10


anyio.run(main, backend_options={"loop_factory": Counting})
EOF
"$work/venv/bin/python" "$work/show.py" "$work"
