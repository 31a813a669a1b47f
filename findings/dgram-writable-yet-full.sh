#!/usr/bin/env bash
# Versions: CPython 3.11, Linux 6.18.
#
# A unix datagram socket that is not connected sends to a receiver whose queue is full.
# One expects poll and select to report the sender as writable only once sendto would succeed.
# They report it as writable at once, and sendto fails with EAGAIN again: a loop that waits for it never sleeps.
# The same socket, once connected to the receiver, is reported as not writable until there is room.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" - "$work/socket" <<'EOF'
import select
import socket
import sys

path = sys.argv[1]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(path)
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sender.setblocking(False)


def writable():
    return bool(select.select([], [sender], [], 0)[1])


def full():
    try:
        sender.sendto(b"x", path)
    except BlockingIOError:
        return True
    return False


sent = 0
while not full():
    sent += 1
apart = writable(), full()
sender.connect(path)
connected = writable()
receiver.recv(1)
print(f"full after {sent} datagrams; not connected: writable {apart[0]}, sendto fails {apart[1]}; connected: writable {connected}")
assert apart == (True, True)
assert connected is False
assert writable()
EOF
