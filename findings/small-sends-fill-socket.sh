#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, Linux 6.18 on x86-64.
#
# A unix stream socket has a send buffer of N bytes, and a client sends one byte at a time to a peer that does not read.
# One expects room for about N bytes, as in a pipe, or at least for a large part of them.
# The kernel keeps a buffer of its own for each send and counts its whole memory, 768 bytes for one byte here.
# The socket is full after some 0.2 percent of its buffer's size: 278 bytes of 212,992.
# SIOCOUTQ counts that memory as well, where for TCP it counts bytes. SIOCINQ at the other end counts bytes.
#
# Source: observed.
set -euo pipefail
"${PYTHON:-python3}" - <<'EOF'
import fcntl
import socket
import struct
import termios


def queued(end, request):
    return struct.unpack("i", fcntl.ioctl(end, request, bytes(4)))[0]


sender, receiver = socket.socketpair()
sender.setblocking(False)
room = sender.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
held = sender.send(b"x")
out, into = queued(sender, termios.TIOCOUTQ), queued(receiver, termios.FIONREAD)
try:
    while True:
        held += sender.send(b"x")
except BlockingIOError:
    pass
print(f"one byte is unread: SIOCOUTQ {out}, SIOCINQ {into}")
print(f"SO_SNDBUF {room}: full after {held} sends of one byte")
assert into == 1
assert out > 100
assert held < room / 100
EOF
