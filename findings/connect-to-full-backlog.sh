#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, uvloop 0.23.0, trio 0.35.0, Linux 6.18.
#
# A unix socket's backlog is full, and a client connects without blocking.
# The kernel answers EAGAIN, where for TCP it answers EINPROGRESS. connect(2) documents it.
# One expects each library to wait for room, up to its timeout, or to raise.
# socket.settimeout(5) makes connect raise BlockingIOError at once, without waiting. uvloop raises the same.
# asyncio and trio report a connection that does not exist. The first write or read on it fails.
# A blocking connect waits, and SO_SNDTIMEO limits how long.
#
# Source: connect(2) for EAGAIN; CPython issue 117208 for settimeout; the rest is observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'uvloop==0.23.0' 'trio==0.35.0'
cat > "$work/show.py" <<'EOF'
import asyncio
import socket
import struct
import sys

import trio
import uvloop

path = sys.argv[1]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(0)
waiting = []
while True:
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    try:
        client.connect(path)
    except BlockingIOError:
        break
    waiting.append(client)


def with_timeout():
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    try:
        client.connect(path)
    except OSError as error:
        return type(error).__name__
    return "connected"


def with_send_timeout():
    client = socket.socket(socket.AF_UNIX)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 300_000))
    try:
        client.connect(path)
    except OSError as error:
        return type(error).__name__
    return "connected"


async def with_loop():
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError as error:
        return type(error).__name__
    try:
        writer.write(b"x")
        await writer.drain()
        await reader.read(1)
    except OSError:
        return "connected, then unusable"
    finally:
        writer.transport.abort()
    return "connected"


async def with_trio():
    try:
        stream = await trio.open_unix_socket(path)
    except OSError as error:
        return type(error).__name__
    try:
        await stream.send_all(b"x")
    except trio.BrokenResourceError:
        return "connected, then unusable"
    return "connected"


seen = {
    "settimeout(5)": with_timeout(),
    "SO_SNDTIMEO": with_send_timeout(),
    "asyncio": asyncio.run(with_loop()),
    "uvloop": uvloop.run(with_loop()),
    "trio": trio.run(with_trio),
}
for name, what in seen.items():
    print(f"{name:14} {what}")
assert seen == {
    "settimeout(5)": "BlockingIOError",
    "SO_SNDTIMEO": "BlockingIOError",
    "asyncio": "connected, then unusable",
    "uvloop": "BlockingIOError",
    "trio": "connected, then unusable",
}
EOF
timeout 30 "$work/venv/bin/python" "$work/show.py" "$work/socket"
