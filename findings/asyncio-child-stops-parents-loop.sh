#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, Linux 6.18.
#
# A coroutine forks. The child returns, so that its copy of `asyncio.run` closes the child's copy of the loop.
# One expects that to end the child only. The loop of the parent goes deaf: it no longer learns that a thread has a result.
# `asyncio.run` of the parent then waits for ever at its end, because it waits for the default executor in the same way.
# Parent and child share one epoll instance. The child unregisters the socket pair by which threads wake the loop.
# A child that ends with `os._exit` does no harm.
#
# Source: `_close_self_pipe` of Lib/asyncio/selector_events.py and epoll(7); the effect is observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/show.py" <<'EOF'
import asyncio
import os
import sys
import time


async def main(leave):
    child = os.fork()
    if child == 0:
        if leave == "os._exit":
            os._exit(0)
        return
    os.waitpid(child, 0)
    try:
        async with asyncio.timeout(3):
            await asyncio.to_thread(time.sleep, 0.1)
        told = "heard of its thread"
    except TimeoutError:
        told = "did not hear of its thread"
    print(f"after a child that ended by {leave}, the parent {told}", flush=True)
    os._exit(0)


asyncio.run(main(sys.argv[1]))
EOF
python=${PYTHON:-python3}
"$python" --version
"$python" -W ignore "$work/show.py" "return" | tee "$work/returned"
"$python" -W ignore "$work/show.py" "os._exit" | tee "$work/left"
grep -q 'by return, the parent did not hear of its thread' "$work/returned"
grep -q 'by os._exit, the parent heard of its thread' "$work/left"
