"""Waits until a socket may have appeared: the system tells of changes of its directory, so that waiting costs nothing.

- The watch is there before the look. `rest` that begins to watch returns at once, and its caller looks again.
- As long as the directory is missing, its nearest parent is watched.
- Nothing tells of `listen`, nor of a parent that is renamed. So a rest has an end, after which the caller looks again.
- Where the directory cannot be watched, for example because this user has no more inotify instances, a rest looks often.
"""

from __future__ import annotations

import os
import select
import sys
import time
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final, TypeAlias, final

from ipcfold.core.verbs import Standing
from ipcfold.local.stream import LONGEST_SLEEP
from ipcfold.local.threads import begun

_GLIMPSE: Final = 0.002  # seconds between two looks at a directory that cannot be watched
_APART: Final = 0.001  # seconds between two looks at a directory in which other files change all the time
_EVENTS: Final = 1 << 16  # bytes of events that one read takes

# The constants of <sys/inotify.h>, which are the same on every architecture.
_IN_ATTRIB: Final = 0x4
_IN_MOVED_TO: Final = 0x80
_IN_CREATE: Final = 0x100
_IN_DELETE_SELF: Final = 0x400
_IN_MOVE_SELF: Final = 0x800
_IN_ONLYDIR: Final = 0x01000000
_CHANGES: Final = _IN_ATTRIB | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_ONLYDIR

_Place: TypeAlias = tuple[Path, int, int]  # a directory, its device and its inode


@final
class Watch:
    """The watch of one wait. It opens its descriptors with the first `rest`."""

    __slots__ = ("_busy", "_place", "_source")

    def __init__(self) -> None:
        self._source = _Source()
        self._place: _Place | None = None
        self._busy = False

    def rest(self, path: Path, standing: Standing | None, until: float) -> None:
        """Block until something else than `standing` may be at the path, or until that time."""
        if self.begins(path):
            return
        while (left := until - monotonic()) > 0:
            if self._changed(min(left, LONGEST_SLEEP)) and self.differs(path, standing):
                return

    def begins(self, path: Path) -> bool:
        """Watch the directory of the path, or its nearest parent; whether that is new, so that the caller must look again."""
        place = _nearest(path.parent)
        return (place != self._place or not self._source.opened) and self._begin(place)

    def differs(self, path: Path, standing: Standing | None) -> bool:
        """Whether something else than `standing` may be at the path."""
        return _nearest(path.parent) != self._place or standing_at(path) != standing

    @property
    def descriptor(self) -> int | None:
        """The descriptor that is readable after a change; `None` where nothing tells, so that the caller looks every `pause` seconds."""
        return self._source.descriptor

    @property
    def pause(self) -> float:
        """Seconds between two looks: for which the caller does not even watch the descriptor."""
        return _APART if self._source.opened else _GLIMPSE

    def read(self) -> None:
        """Read the changes, once the descriptor is readable. If that fails, nothing is watched any more."""
        try:
            self._source.wait(0.0)
        except OSError as error:
            _reraise(error)
            self._source.close()

    def close(self) -> None:
        """Close the descriptors, which may take 20 ms."""
        self._source.close()

    def leave(self) -> None:
        """Close the descriptors without a delay for the caller."""
        if self._source.opened and begun(self._source.close):
            self._source = _Source()
        else:
            self._source.close()

    def __del__(self) -> None:
        with suppress(AttributeError):  # a signal handler may raise in the constructor, or before the caller closes
            self.close()

    def _begin(self, place: _Place | None) -> bool:
        """Watch this place instead; whether the caller must look again."""
        self._place, self._busy = place, False
        if place is None:
            self._source.close()
            return False
        try:
            watched = self._source.open(place[0])
        except (ImportError, AttributeError):  # Python lacks ctypes, or the C library lacks inotify
            watched = False
        except OSError as error:
            _reraise(error)
            watched = False
        if not watched:
            self._source.close()
            return False
        if _nearest(place[0]) != place:  # it was replaced meanwhile, so that this may be the watch of another directory
            self._place = None
        return True

    def _changed(self, seconds: float) -> bool:
        """Block until something may have changed, and return true, or for so many seconds."""
        if not self._source.opened:
            time.sleep(min(_GLIMPSE, seconds))
            return True
        if self._busy:
            time.sleep(min(_APART, seconds))
        try:
            self._busy = self._source.wait(seconds)
        except OSError as error:
            _reraise(error)
            self._source.close()  # the next rest watches again, or looks often
            time.sleep(min(_GLIMPSE, seconds))
            return True
        return self._busy


# The constructor of a source opens nothing. One call of C code opens and stores a descriptor, because a signal handler, which
# may raise, runs only before or after such a call.
if sys.platform == "linux":

    @final
    class _Source:
        """Tells of changes of a directory, by inotify."""

        __slots__ = ("_watched", "opened")

        def __init__(self) -> None:
            self.opened: Final[list[int]] = []
            self._watched = -1

        def open(self, directory: Path) -> bool:
            """Watch the directory, if that is possible."""
            import ctypes  # noqa: PLC0415 - it takes a tenth of the time to import this library, and few clients wait

            library = ctypes.CDLL(None)
            if not self.opened:
                self.opened.extend(filter((-1).__lt__, map(library.inotify_init1, (os.O_CLOEXEC | os.O_NONBLOCK,))))
            if not self.opened:
                return False
            instance, before = self.opened[0], self._watched
            self._watched = library.inotify_add_watch(instance, os.fsencode(directory), ctypes.c_uint32(_CHANGES))
            if self._watched == -1:
                return False
            if before not in (-1, self._watched):  # to close the instance instead would take 20 ms
                library.inotify_rm_watch(instance, before)
            return True

        def wait(self, seconds: float) -> bool:
            """Block until the directory has changed, and return true, or for so many seconds."""
            poller = select.poll()
            poller.register(self.opened[0], select.POLLIN)
            if not poller.poll(seconds * 1000):
                return False
            try:
                os.read(self.opened[0], _EVENTS)
            except OSError as error:
                _reraise(error)
            return True

        @property
        def descriptor(self) -> int | None:
            """The descriptor that is readable after a change."""
            return self.opened[0] if self.opened else None

        def close(self) -> None:
            """Close the descriptor. The kernel makes the caller wait until it has freed the watch."""
            self._watched = -1
            while self.opened:
                with suppress(OSError, IndexError):  # another thread may be closing it
                    os.close(self.opened.pop())

else:

    @final
    class _Source:
        """Tells of changes of a directory, by kqueue."""

        __slots__ = ("_queue", "opened")

        def __init__(self) -> None:
            self.opened: Final[list[int]] = []
            self._queue: select.kqueue | None = None

        def open(self, directory: Path) -> bool:
            """Watch the directory, if that is possible."""
            self.close()
            self._queue = select.kqueue()
            self.opened.extend(map(os.open, (directory,), (os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY,)))
            changes = select.KQ_NOTE_WRITE | select.KQ_NOTE_EXTEND | select.KQ_NOTE_ATTRIB | select.KQ_NOTE_DELETE | select.KQ_NOTE_RENAME
            watched = select.kevent(self.opened[0], select.KQ_FILTER_VNODE, select.KQ_EV_ADD | select.KQ_EV_CLEAR, changes)
            self._queue.control([watched], 0)
            return True

        def wait(self, seconds: float) -> bool:
            """Block until the directory has changed, and return true, or for so many seconds."""
            assert self._queue is not None  # noqa: S101 - `open` comes first
            return bool(self._queue.control(None, 1, seconds))

        @property
        def descriptor(self) -> int | None:
            """The descriptor that is readable after a change."""
            return None if self._queue is None else self._queue.fileno()

        def close(self) -> None:
            """Close the descriptors."""
            while self.opened:
                with suppress(OSError, IndexError):  # another thread may be closing it
                    os.close(self.opened.pop())
            if self._queue is not None:
                self._queue.close()
                self._queue = None


def _nearest(directory: Path) -> _Place | None:
    """The directory, or as long as it is missing the nearest parent that is there."""
    for each in (directory, *directory.parents):
        try:
            status = os.stat(each)
        except OSError as error:
            _reraise(error)
        else:
            return each, status.st_dev, status.st_ino
    return None


def standing_at(path: Path) -> Standing | None:
    """What stands at the path, if anything."""
    try:
        status = os.lstat(path)
    except OSError as error:
        _reraise(error)
        return None
    return Standing((status.st_dev, status.st_ino, status.st_ctime_ns), max(0.0, time.time() - status.st_ctime))


def _reraise(error: OSError) -> None:
    """Raise what a signal handler raised, for example a `TimeoutError`: it is not from a system call."""
    if error.errno is None:
        raise error
