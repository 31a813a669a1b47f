#!/usr/bin/env bash
# Versions: CPython 3.11, Linux 6.18.
#
# Two clients connect to a unix socket and write nothing. The server accepts the first only, then closes all it has.
# One expects both clients to read the end of the stream: nobody has left anything unread.
# The accepted client reads the end. The one that waited in the backlog gets ECONNRESET.
# So a reset without a word does not mean that a server broke off: it may never have seen the client.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" - "$work/socket" <<'EOF'
import socket
import sys

path = sys.argv[1]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
clients = {}
for name in "accepted", "in the backlog":
    clients[name] = socket.socket(socket.AF_UNIX)
    clients[name].connect(path)
served, _ = listener.accept()
served.close()
listener.close()


def end(client):
    try:
        return client.recv(1)
    except OSError as error:
        return type(error).__name__


seen = {name: end(client) for name, client in clients.items()}
print(seen)
assert seen == {"accepted": b"", "in the backlog": "ConnectionResetError"}
EOF
