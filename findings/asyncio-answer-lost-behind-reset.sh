#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, uvloop 0.23.0, trio 0.35.0, Linux 6.18.
#
# A server answers a request that it did not read to its end, and closes.
# The client receives the whole answer before it reads.
# One expects the answer first and the error after it. The kernel and trio do so.
# A StreamReader of asyncio has the answer in its buffer and raises ConnectionResetError instead of returning it.
# uvloop uses the same StreamReader and loses the answer as well.
# A protocol's data_received gets the answer on both loops.
#
# Source: CPython issue 75044 for the reader; the comparison is observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'uvloop==0.23.0' 'trio==0.35.0'
cat > "$work/show.py" <<'EOF'
import asyncio
import socket

import trio
import uvloop

REQUEST, ANSWER = b"a request of which the server reads nothing\n", b"503 come back later\n"


class Gather(asyncio.Protocol):
    def __init__(self):
        self.got, self.lost = b"", asyncio.get_running_loop().create_future()

    def data_received(self, data):
        self.got += data

    def connection_lost(self, error):
        self.lost.set_result(error)


def answer_and_close(server):
    server.sendall(ANSWER)
    server.close()


async def by_reader():
    client, server = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=client)
    writer.write(REQUEST)
    await writer.drain()
    answer_and_close(server)
    while reader.exception() is None and not reader.at_eof():  # until the loop has seen the end
        await asyncio.sleep(0.01)
    try:
        return await reader.readline()
    except ConnectionResetError:
        return "ConnectionResetError"


async def by_protocol():
    client, server = socket.socketpair()
    transport, protocol = await asyncio.get_running_loop().create_unix_connection(Gather, sock=client)
    transport.write(REQUEST)
    await asyncio.sleep(0)
    answer_and_close(server)
    await protocol.lost
    return protocol.got


def by_socket():
    client, server = socket.socketpair()
    client.sendall(REQUEST)
    answer_and_close(server)
    return client.recv(100)


async def by_trio():
    client, server = socket.socketpair()
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(client))
    await stream.send_all(REQUEST)
    answer_and_close(server)
    return await stream.receive_some(100)


seen = {
    "socket.recv": by_socket(),
    "trio": trio.run(by_trio),
    "asyncio, protocol": asyncio.run(by_protocol()),
    "uvloop, protocol": uvloop.run(by_protocol()),
    "asyncio, StreamReader": asyncio.run(by_reader()),
    "uvloop, StreamReader": uvloop.run(by_reader()),
}
for name, got in seen.items():
    print(f"{name:22} {got!r}")
lost = {name for name, got in seen.items() if got != ANSWER}
assert lost == {"asyncio, StreamReader", "uvloop, StreamReader"}, lost
EOF
"$work/venv/bin/python" "$work/show.py"
