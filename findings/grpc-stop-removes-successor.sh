#!/usr/bin/env bash
# Versions: grpcio 1.85.3, CPython 3.11 and 3.13; beside it pyzmq 27.3.0 and uvloop 0.23.0.
#
# A new server starts at the unix socket of an old one, which stops after that: a restart without a gap.
# One expects the new server to have the path from then on, since it answers all new clients.
# The old server's stop of gRPC removes the path, although the socket there is not its own. New clients get UNAVAILABLE.
# The new server listens on, serves the clients that it has, and notices nothing.
# asyncio, uvloop and ZeroMQ take the path in the same way, and leave it when the old server stops.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'grpcio==1.85.3' 'pyzmq==27.3.0' 'uvloop==0.23.0'
cat > "$work/show.py" <<'EOF'
import asyncio
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import uvloop
import zmq


def start_grpc(path, answer=b""):
    server = grpc.server(ThreadPoolExecutor(1))
    method = grpc.unary_unary_rpc_method_handler(lambda request, context: answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("show", {"Ask": method}),))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    return lambda: server.stop(None).wait()


def start_zmq(path):
    server = zmq.Context().socket(zmq.REP)
    server.bind(f"ipc://{path}")
    return lambda: server.close(0)


def start_loop(new_loop):
    def start(path):
        loop = new_loop()
        server = loop.run_until_complete(loop.create_unix_server(asyncio.Protocol, path))

        def stop():
            server.close()
            loop.run_until_complete(asyncio.sleep(0.1))

        return stop

    return start


def client(path):
    options = (("grpc.use_local_subchannel_pool", 1),)
    ask = grpc.insecure_channel(f"unix:{path}", options=options).unary_unary("/show/Ask")

    def asked():
        try:
            return ask(b"", timeout=5).decode()
        except grpc.RpcError as error:
            return error.code().name

    return asked


starts = {
    "grpcio": start_grpc,
    "pyzmq": start_zmq,
    "asyncio": start_loop(asyncio.new_event_loop),
    "uvloop": start_loop(uvloop.new_event_loop),
}
kept, removed = [], set()
for name, start in starts.items():
    path = os.path.join(sys.argv[1], name)
    stop = start(path)
    while not os.path.exists(path):
        time.sleep(0.01)
    before = os.stat(path).st_ino
    kept.append(start(path))
    while os.stat(path).st_ino == before:
        time.sleep(0.01)
    stop()
    time.sleep(0.5)
    there = os.path.exists(path)
    print(f"{name:8} after the old server's stop the new server's path is {'there' if there else 'gone'}")
    if not there:
        removed.add(name)
path = os.path.join(sys.argv[1], "again")
stop = start_grpc(path, b"the old server")
while not os.path.exists(path):
    time.sleep(0.01)
before = os.stat(path).st_ino
kept.append(start_grpc(path, b"the new server"))
while os.stat(path).st_ino == before:
    time.sleep(0.01)
early = client(path)
seen = [early()]
stop()
seen += [early(), client(path)()]
print(f"a client of the new server: {seen[0]}; after the old one's stop: {seen[1]}; a new client then: {seen[2]}")
assert removed == {"grpcio"}, removed
assert seen == ["the new server", "the new server", "UNAVAILABLE"], seen
sys.stdout.flush()
os._exit(0)  # the servers need no orderly end
EOF
timeout 40 "$work/venv/bin/python" "$work/show.py" "$work"
