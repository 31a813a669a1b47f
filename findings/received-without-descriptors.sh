#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, Linux 6.18.
#
# A process that has as many descriptors open as it may receives a message that carries two more.
# One expects the EMFILE that `accept` and `open` raise there, and that the message can be read again once a descriptor is closed.
# The message arrives, without an error and without its descriptors. With room for one, the first alone arrives.
# The kernel closes the others, so a later read does not bring them. MSG_CTRUNC is the only sign, in the flags that are mostly ignored.
# So a program that passes descriptors must compare their number with what it expects, and take a missing one for this limit.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/show.py" <<'EOF'
import errno
import os
import resource
import socket


def fill(free):
    """Take all descriptors but so many."""
    held = []
    try:
        while True:
            held.append(os.dup(0))
    except OSError as error:
        assert error.errno == errno.EMFILE
    for descriptor in held[len(held) - free :]:
        os.close(descriptor)
    return held[: len(held) - free]


hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
pipe = os.pipe()
for free in (0, 1, 2):
    sender, receiver = socket.socketpair()
    socket.send_fds(sender, [b"message"], list(pipe))
    held = fill(free)
    content, descriptors, flags, _ = socket.recv_fds(receiver, 100, 2)
    cut = bool(flags & socket.MSG_CTRUNC)
    print(f"room for {free}: {content}, {len(descriptors)} descriptors, MSG_CTRUNC {cut}")
    assert (content, len(descriptors), cut) == (b"message", free, free < 2)
    for descriptor in held + descriptors:
        os.close(descriptor)
    sender.close()
    assert socket.recv_fds(receiver, 100, 2)[:2] == (b"", [])
    receiver.close()
EOF
"${PYTHON:-python3}" "$work/show.py" "$work"
