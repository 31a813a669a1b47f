"""Memory for large contents. It is used again once nobody refers to the content that it had.

The kernel gives fresh memory page by page, when it is first written to. For a content of 64 MiB that takes longer than to
receive it. So this process keeps the memory of its last large contents, for five seconds. It receives the next content into
that memory. No content is visible to a later holder:

- Memory is used again only if nothing else refers to it or to its content. CPython counts the references. Even without this
  rule, `BytesIO` would copy a content that has another holder before it writes.
- A content leaves the decoder only after every byte of it was received.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from io import BytesIO
from time import monotonic, sleep
from typing import Final, final

from ipcfold.core.buffers import Memory, fresh
from ipcfold.local.threads import begun

_MOST: Final = 2  # pieces of memory; a client often holds the last response while the next one arrives
_SMALLEST: Final = 2**24  # bytes; the allocator itself keeps smaller memory
_LARGEST: Final = 2**26 + 1  # bytes; the default of `limits.message` and an end mark
_IDLE: Final = 5.0  # seconds without a large content, after which all memory is given back
_PERIOD: Final = 0.05  # seconds
_COUNTED: Final = sys.implementation.name == "cpython" and "t" not in sys.abiflags  # without the GIL the count may be wrong for a moment


@final
class Kept:
    """The memory of the last large contents of this process, in at most two pieces."""

    # Several threads and signal handlers use it. It has no lock, because a signal handler would wait for ever for the code that it
    # interrupts. Only the thread that has popped memory from the queue can use it.

    __slots__ = ("_kept", "_owner", "_smallest", "_used")

    def __init__(self, smallest: int = _SMALLEST) -> None:
        """It keeps no memory of fewer than `smallest` bytes."""
        self._kept: deque[BytesIO] = deque(maxlen=_MOST)
        self._smallest = smallest
        self._used = 0.0  # when a large content last began
        self._owner = 0  # the process whose thread gives the memory back; a forked child does not have that thread

    def __call__(self, size: int) -> BytesIO:
        """See `Memory`."""
        if not self._smallest <= size <= _LARGEST:
            return fresh(size)
        self._used = monotonic()
        try:
            memory = self._again(size) or fresh(size)
        except MemoryError:
            self.clear()
            memory = fresh(size)
        self._kept.append(memory)
        if self._owner != os.getpid() and not begun(self._watch):
            self.clear()
        return memory

    def clear(self) -> None:
        """Give all memory back, as far as nobody uses it."""
        self._owner = 0  # this comes first, so that memory that is kept meanwhile gets a thread of its own
        self._kept.clear()

    def _again(self, size: int) -> BytesIO | None:
        """Kept memory of about this size that nobody uses. It has exactly this size then."""
        for _ in range(_MOST):
            try:
                memory = self._kept.popleft()
            except IndexError:
                return None
            if _holders(memory) == _ONE_HOLDER and _readers(memory) == _ONE_READER and size // 2 < memory.seek(0, os.SEEK_END) < size * 2:
                # Both steps change the size of the content's object, so Python forgets its hash, which a holder may have asked for.
                memory.truncate(size - 1)
                memory.seek(size - 1)
                memory.write(b"\0")
                memory.seek(0)
                return memory
            self._kept.append(memory)
        return None

    def _watch(self) -> None:
        """Give the memory back when no large content has begun for a while."""
        self._owner = os.getpid()
        while monotonic() - self._used < _IDLE:
            sleep(_PERIOD)
        self.clear()


def _holders(memory: BytesIO) -> int:
    """The number of references to this memory, with those of the call itself."""
    return sys.getrefcount(memory)


def _readers(memory: BytesIO) -> int:
    """The number of references to its content, with those of the call itself."""
    content = memory.getvalue()  # not a copy
    return sys.getrefcount(content)


def _counts() -> tuple[int, int]:
    """The numbers of references where nobody else uses the memory. They depend on the version of Python."""
    memory = BytesIO()
    memory.write(b"a content")
    return _holders(memory), _readers(memory)


_ONE_HOLDER, _ONE_READER = _counts() if _COUNTED else (0, 0)

_kept: Final = Kept()
os.register_at_fork(after_in_child=_kept.clear)

KEPT: Final[Memory] = _kept if _COUNTED else fresh
"""Gives the large contents of this process their memory."""
