#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, uvloop 0.23.0, trio 0.35.0, Linux 6.18.
#
# Two tasks wait in `loop.sock_accept` of one listener, as threads and processes do, and two clients connect.
# One expects both tasks to get a client, or the second to raise, as it does in trio (BusyResourceError).
# The loop has one callback for a descriptor, and the second task's takes the place of the first one's.
# The second task gets a client. The first waits for ever, though another client is there, and nothing says so, not even in debug mode.
# A task that waits after the second has ended gets the other client. `sock_recv` of one socket is alike, and so is uvloop.
#
# Source: asyncio/selector_events.py, `sock_accept`; observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check uvloop==0.23.0 trio==0.35.0
cat > "$work/show.py" <<'EOF'
import asyncio
import socket
import sys

import trio
import uvloop

path = sys.argv[1] + "/socket"
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(8)
listener.setblocking(False)


def connected():
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    return client


async def accept():
    loop = asyncio.get_running_loop()
    first = asyncio.create_task(loop.sock_accept(listener))
    await asyncio.sleep(0)  # the first waits
    second = asyncio.create_task(loop.sock_accept(listener))
    await asyncio.sleep(0)
    clients = [connected(), connected()]
    await second
    done, _ = await asyncio.wait([first], timeout=2)
    third, _ = await loop.sock_accept(listener)
    await asyncio.sleep(0.1)
    print(f"{type(loop).__module__}: the second has a client, the first: {'a client' if done else 'waits'}, a third has the other client")
    assert not done and not first.done()
    first.cancel()
    for client in clients:
        client.close()


async def busy():
    result = []

    async def wait():
        try:
            await trio.lowlevel.wait_readable(listener)
        except trio.BusyResourceError as error:
            result.append(type(error).__name__)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
    print("trio, the second:", result[0])
    assert result == ["BusyResourceError"]


asyncio.run(accept(), debug=True)
uvloop.run(accept(), debug=True)
trio.run(busy)
EOF
"$work/venv/bin/python" "$work/show.py" "$work"
