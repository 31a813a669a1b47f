#!/usr/bin/env bash
# Versions: CPython 3.11, pyzmq 27.3.0, uvloop 0.23.0, pynng 0.9.0, Pyro5 5.17, rpyc 6.0.2, grpcio 1.85.3.
#
# A server listens on a unix socket, and a second one of the same library starts at the same path.
# One expects "address in use" from each library, as the kernel gives for bind, and as TCP does.
# asyncio, uvloop, ZeroMQ and gRPC remove the socket without looking whether anybody listens. The second server takes the name.
# The first one goes on listening on a socket that nobody can find, and gets no error.
# multiprocessing, pynng, Pyro5, rpyc and socketserver refuse.
#
# Source: zmq_ipc(7) says so of ZeroMQ; the rest is observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'pyzmq==27.3.0' 'uvloop==0.23.0' 'pynng==0.9.0' 'Pyro5==5.17' 'rpyc==6.0.2' 'grpcio==1.85.3'
cat > "$work/show.py" <<'EOF'
import asyncio
import os
import socketserver
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Listener

import grpc
import Pyro5.api
import pynng
import rpyc
import uvloop
import zmq
from rpyc.utils.server import ThreadedServer

kept = []


def serve_zmq(path):
    server = zmq.Context().socket(zmq.REP)
    server.bind(f"ipc://{path}")
    return server


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
    "asyncio": serve_loop(asyncio.new_event_loop),
    "uvloop": serve_loop(uvloop.new_event_loop),
    "pyzmq": serve_zmq,
    "grpcio": serve_grpc,
    "multiprocessing": Listener,
    "pynng": lambda path: pynng.Rep0(listen=f"ipc://{path}"),
    "Pyro5": lambda path: Pyro5.api.Daemon(unixsocket=path),
    "rpyc": lambda path: ThreadedServer(rpyc.Service, socket_path=path),
    "socketserver": lambda path: socketserver.UnixStreamServer(path, socketserver.BaseRequestHandler),
}
takes = set()
for name, start in starts.items():
    path = os.path.join(sys.argv[1], name)
    kept.append(start(path))
    while not os.path.exists(path):
        time.sleep(0.01)
    before = os.stat(path).st_ino
    try:
        kept.append(start(path))
    except Exception as error:  # each library has its own
        print(f"{name:16} refuses: {type(error).__name__}")
        assert os.stat(path).st_ino == before
    else:
        while os.stat(path).st_ino == before:
            time.sleep(0.01)
        print(f"{name:16} takes the name of the live server")
        takes.add(name)
assert takes == {"asyncio", "uvloop", "pyzmq", "grpcio"}, takes
sys.stdout.flush()
os._exit(0)  # the servers need no orderly end
EOF
timeout 30 "$work/venv/bin/python" "$work/show.py" "$work"
