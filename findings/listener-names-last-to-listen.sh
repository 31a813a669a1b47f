#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, Linux 6.18.
#
# A process listens at a unix socket and passes the socket to a child, as systemd does with socket activation. The child accepts.
# One expects SO_PEERCRED to tell a client the process that accepted it: that is the one it talks to.
# The client gets the process that called listen, which is the service manager, with the manager's user.
# The child may call listen again on the socket that listens already. Then clients that connect later get the child, also after its end.
#
# Source: unix(7) says that the credentials are those at the time of listen; that a second call replaces them is observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 30 "${PYTHON:-python3}" - "$work/socket" <<'EOF'
import os
import socket
import struct
import sys

path = sys.argv[1]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
manager = os.getpid()


def peer_of_client():
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        assert client.recv(1) == b"!"
        return struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def serve(again):
    """A child that accepts one client."""
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        if again:
            listener.listen()
        os.write(told, b".")
        stream, _ = listener.accept()
        stream.sendall(b"!")
        stream.recv(1)
        os._exit(0)
    os.read(ready, 1)
    return child


names = {}
child = serve(again=False)
names["a child accepts"] = {manager: "the manager", child: "the child"}[peer_of_client()]
os.waitpid(child, 0)
child = serve(again=True)
names["a child listens again and accepts"] = {manager: "the manager", child: "the child"}[peer_of_client()]
os.waitpid(child, 0)
next_child = serve(again=False)
names["the next child accepts"] = {manager: "the manager", child: "the child before", next_child: "the child"}[peer_of_client()]
os.waitpid(next_child, 0)
for what, who in names.items():
    print(f"{what}: the peer of the client is {who}")
assert list(names.values()) == ["the manager", "the child", "the child before"]
EOF
