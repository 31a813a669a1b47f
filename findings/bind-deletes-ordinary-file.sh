#!/usr/bin/env bash
# Versions: pyzmq 27.3.0, eclipse-zenoh 1.10.2, grpcio 1.85.3, uvloop 0.23.0, pynng 0.9.0, CPython 3.11.
#
# A server listens at a path where an ordinary file is, as after a typing error.
# One expects "address in use", as bind(2) says, whatever a library does about a socket that a dead server left.
# ZeroMQ, zenoh and nng delete the file, and put their socket there.
# ZeroMQ and zenoh do not look what is at the path. zenoh looks for a lock, and nng tries to connect, so that they refuse beside a live server.
# A connection to an ordinary file is refused, like one to the socket of a dead server: nng takes the file for such a socket.
# asyncio, uvloop and gRPC, which take the path of a live server, look whether it is a socket. They refuse, and the file stays.
#
# Source: observed; asyncio's documentation says that it removes sockets.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'pyzmq==27.3.0' 'eclipse-zenoh==1.10.2' 'grpcio==1.85.3' 'uvloop==0.23.0' 'pynng==0.9.0'
cat > "$work/show.py" <<'EOF'
import asyncio
import json
import os
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pynng
import uvloop
import zenoh
import zmq

kept = []


def serve_zmq(path):
    server = zmq.Context().socket(zmq.REP)
    server.bind(f"ipc://{path}")
    return server


def serve_zenoh(path):
    config = zenoh.Config()
    for key, value in {"listen/endpoints": [f"unixsock-stream/{path}"], "scouting/multicast/enabled": False}.items():
        config.insert_json5(key, json.dumps(value))
    return zenoh.open(config)


def serve_grpc(path):
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    return server


def serve_loop(new_loop):
    def serve(path):
        loop = new_loop()
        return loop, loop.run_until_complete(loop.create_unix_server(asyncio.Protocol, path))

    return serve


starts = {
    "pyzmq": serve_zmq,
    "zenoh": serve_zenoh,
    "grpcio": serve_grpc,
    "asyncio": serve_loop(asyncio.new_event_loop),
    "uvloop": serve_loop(uvloop.new_event_loop),
    "pynng": lambda path: pynng.Rep0(listen=f"ipc://{path}"),
}
deletes = set()
for name, start in starts.items():
    path = os.path.join(sys.argv[1], name)
    with open(path, "w") as file:
        file.write("precious")
    refused = ""
    try:
        kept.append(start(path))
    except Exception as error:  # each library has its own
        refused = type(error).__name__
    deleted = stat.S_ISSOCK(os.stat(path).st_mode)
    print(f"{name:8} {'deletes the file' if deleted else 'keeps the file'} {refused and 'and raises ' + refused}")
    if deleted:
        deletes.add(name)
assert deletes == {"pyzmq", "zenoh", "pynng"}, deletes
sys.stdout.flush()
os._exit(0)  # the servers need no orderly end
EOF
timeout 30 "$work/venv/bin/python" "$work/show.py" "$work" 2>/dev/null
