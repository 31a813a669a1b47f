#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, Linux 6.18.
#
# A program sets SO_RCVLOWAT of 10 bytes on a unix socket, to be woken for whole headers, and 3 bytes arrive.
# The manual page socket(7) says that select, poll and epoll call a socket readable only once so many bytes are there.
# They do so for TCP. For a unix socket they call it readable at the first byte, and a loop that waits for the rest spins.
# A blocking `recv` does honour the mark of a unix socket: it waits, though select has just called the socket readable.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/show.py" <<'EOF'
import select
import socket
import struct
import time


def tcp():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = socket.create_connection(listener.getsockname())
        return sender, listener.accept()[0]


def readable(receiver):
    poll, epoll = select.poll(), select.epoll()
    poll.register(receiver, select.POLLIN)
    epoll.register(receiver, select.EPOLLIN)
    return {"select": bool(select.select([receiver], [], [], 0)[0]), "poll": bool(poll.poll(0)), "epoll": bool(epoll.poll(0))}


for name, pair, expected in (("TCP", tcp, False), ("unix", socket.socketpair, True)):
    sender, receiver = pair()
    sender.send(b"abc")
    select.select([receiver], [], [], None)  # until they have arrived
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 10)
    seen = readable(receiver)
    print(f"{name}, 3 bytes of 10 are there, readable:", seen)
    assert set(seen.values()) == {expected}
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 1, 0))
    begun = time.monotonic()
    content = receiver.recv(100)
    took = time.monotonic() - begun
    print(f"{name}, a blocking recv with SO_RCVTIMEO of a second: {content} after {took:.1f} s")
    assert (content, took > 0.9) == (b"abc", True)
    sender.send(b"defghijklmnop")
    select.select([receiver], [], [], None)
    assert set(readable(receiver).values()) == {True}
EOF
"${PYTHON:-python3}" "$work/show.py"
