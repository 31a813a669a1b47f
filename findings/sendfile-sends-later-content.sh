#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, Linux 6.18.
#
# A program sends a file with `sendfile` over a unix socket, and all its bytes are taken. Then it writes the file anew.
# One expects the receiver to read what the file held at that call, as with `send`.
# The kernel queues the pages of the file, and copies nothing. The receiver reads what the file holds when it reads.
# It is so for `socket.sendfile`, `os.sendfile` and `loop.sendfile` of asyncio, for a file on a disk and for a memfd.
# A file that was truncated meanwhile arrives with its old content, as its pages are no longer the file's.
# So whoever uses a file or a memfd again needs an answer of the receiver first. To create another file is safe.
#
# Source: observed. sendfile(2) warns of sockets with zero-copy support, and names none. The documentation of Python says nothing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/show.py" <<'EOF'
import asyncio
import os
import socket
import sys

SIZE = 8192


def write(file, letter):
    file.seek(0)
    file.write(letter * SIZE)
    file.flush()


def received(file, send, change):
    write(file, b"a")
    sender, receiver = socket.socketpair()
    with sender, receiver:
        file.seek(0)
        assert send(sender, file) == SIZE
        change(file)
        return receiver.recv(SIZE, socket.MSG_WAITALL)


def by_loop(sender, file):
    async def run():
        _, writer = await asyncio.open_unix_connection(sock=sender.dup())
        sent = await asyncio.get_running_loop().sendfile(writer.transport, file)
        writer.close()
        return sent

    return asyncio.run(run())


ways = {
    "send": lambda sender, file: sender.send(file.read()),
    "socket.sendfile": lambda sender, file: sender.sendfile(file),
    "os.sendfile": lambda sender, file: os.sendfile(sender.fileno(), file.fileno(), 0, SIZE),
    "loop.sendfile": by_loop,
}
with open(sys.argv[1] + "/file", "w+b") as disk, os.fdopen(os.memfd_create("content"), "w+b") as memory:
    for where, file in (("file", disk), ("memfd", memory)):
        for name, send in ways.items():
            content = received(file, send, lambda file: write(file, b"b"))
            print(f"{where}, {name}: sent aaa..., received {content[:3].decode()}... ({len(content)} bytes)")
            assert content == (b"a" if name == "send" else b"b") * SIZE
    content = received(disk, ways["os.sendfile"], lambda file: file.truncate(0))
    print(f"truncated afterwards: received {content[:3].decode()}... ({len(content)} bytes)")
    assert content == b"a" * SIZE
EOF
"${PYTHON:-python3}" "$work/show.py" "$work"
