"""What both ends do with a socket: how much to read, how to write, how long to sleep at most."""

from __future__ import annotations

import socket
from typing import Final

# Never block in a write, and no SIGPIPE: a program may have set that back to its deadly default. (`int`, since the
# enumeration would be computed anew for every write.)
SEND_FLAGS: Final = int(socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0))

LONGEST_SLEEP: Final = 3600.0  # seconds; system calls have an end, and waking up once an hour costs nothing

# What to wait for, as `poll` and `epoll` number it. Whatever else a system says of a socket (an error, the end) counts as
# both: trying tells.
READ: Final = 1
WRITE: Final = 4

LARGE: Final = 2**20  # bytes to write, from which on more room in the kernel pays: each end then wakes the other less often
_ROOM: Final = 2**19  # bytes; the kernel takes it twice, for what it keeps beside them, and never more than it allows


def widen(stream: socket.socket) -> None:
    """Let the kernel hold more of what is written."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)


READ_SIZE: Final = 2**16  # bytes at most; a larger buffer costs more to make than it saves
