"""Constants of both ends for their sockets: sizes of reads, flags of writes, the longest wait."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Final

# A write never blocks and never raises SIGPIPE, which a program may have set back to its default of ending the process.
# The value is an `int`, because Python would compute the enumeration's value again for every write.
SEND_FLAGS: Final = int(socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0))

LONGEST_SLEEP: Final = 3600.0  # seconds; system calls limit their timeouts, and one wake-up an hour costs nothing

LARGE: Final = 2**20  # bytes; with more in the outbox, a larger send buffer pays, because the ends wake each other less often
_ROOM: Final = 2**19  # bytes; the kernel doubles it for its own bookkeeping, and limits it


def widen(stream: socket.socket) -> None:
    """Enlarge the send buffer of the socket, if the system permits it. It is for speed alone."""
    with suppress(OSError):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)


def shut(stream: socket.socket) -> None:
    """Close the socket. The system takes it back even if it reports an error."""
    try:
        stream.close()
    except OSError as error:
        if error.errno is None:  # a signal handler raised it, as it may raise a TimeoutError; it is not from the system call
            raise


READ_SIZE: Final = 2**16  # bytes; a larger buffer costs more to allocate than it saves

AT_ONCE: Final = 256  # events that one wait returns at most; the next wait returns the others
