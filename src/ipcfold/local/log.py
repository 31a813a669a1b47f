"""Reports the events of a server to the logger `ipcfold`, and to the observer of the program.

A record for an operator is a warning or an error. A record that explains a client's failure is information. The rest is for
debugging. A program configures the logger with the standard library's `logging`.

Filters and handlers of a logger are foreign code. They run on a thread of their own, so that one that raises, blocks or
forks harms no client. If a client can cause a kind of record again and again, it is logged once, and then counted.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from contextlib import suppress
from functools import cache
from threading import Condition
from time import monotonic
from typing import Final, final
from weakref import WeakSet

import attrs

from ipcfold.events import Connected, Disconnected, Event, Folded, Listening, Observer, Refused, Reported, Stopping, Survived
from ipcfold.inputs import Left
from ipcfold.local.threads import begun
from ipcfold.peer import Name, Peer

_MOST: Final = 1000  # records that wait; more are counted and dropped
_QUIET: Final = 1.0  # seconds for which another record of the same kind is only counted
_IDLE: Final = 1.0  # seconds without a record, after which the thread ends
_FINISH: Final = 1.0  # seconds that the end of a server waits for the records that are left


@cache
def logger() -> logging.Logger:
    """The logger of all servers."""
    logger = logging.getLogger("ipcfold")
    logger.addHandler(logging.NullHandler())
    return logger


@final
class Writer:
    """Gives records to the logger on a thread of its own, which starts with the first record."""

    def __init__(self) -> None:
        self._log = logger()
        self._records = deque[logging.LogRecord]()
        self._changed = Condition()
        self._busy = False
        self._ended = False
        self._dropped = 0
        self._threaded = False  # whether a thread was started that has not ended
        self._forked = False
        _writers.add(self)

    def write(self, level: int, text: str, *facts: object, error: BaseException | None = None) -> None:
        """Log this text with these facts, if the logger wants that level."""
        if self._forked or not self._log.isEnabledFor(level):
            return
        trace = None if error is None else (type(error), error, error.__traceback__)
        record = self._log.makeRecord(self._log.name, level, __file__, 0, text, facts, trace)
        with self._changed:
            if len(self._records) >= _MOST:
                self._dropped += 1
                return
            self._records.append(record)
            self._changed.notify_all()
            if not self._threaded:
                self._threaded = begun(self._run)
                if not self._threaded:
                    self._records.clear()
                    self._handle(record)  # a handler that blocks is the smaller evil now

    def end(self) -> None:
        """Wait until the records are written, but not for a handler that blocks."""
        if self._forked:
            return
        with self._changed:
            self._ended = True
            self._changed.notify_all()
            if self._threaded:
                self._changed.wait_for(lambda: not self._records and not self._busy, _FINISH)

    def fork(self) -> None:
        """Note that this process is a forked child, which does not have the thread. It logs nothing."""
        self._forked = True

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._records or self._ended, _IDLE)
                if not self._records:
                    self._threaded = False
                    return
                record, dropped = self._records.popleft(), self._dropped
                self._busy, self._dropped = True, 0
            self._handle(record)
            del record  # the frames of its traceback may hold sockets, which must not stay open until the next record
            if dropped:
                text = "%d more records were dropped, because the handlers of the log were too slow"
                self._handle(self._log.makeRecord(self._log.name, logging.WARNING, __file__, 0, text, (dropped,), None))

    def _handle(self, record: logging.LogRecord) -> None:
        with suppress(BaseException):  # a handler of the log may raise anything, and there is nowhere to log that
            self._log.handle(record)


_writers: Final[WeakSet[Writer]] = WeakSet()


def _forget() -> None:
    for writer in list(_writers):
        writer.fork()


os.register_at_fork(after_in_child=_forget)


@final
@attrs.define
class Repeated:
    """A kind of record that a client can cause again and again: the first is logged, the others of a second are counted."""

    level: int
    until: float
    """Until when records are only counted."""
    count: int = 0


@final
class Log:
    """The observer that logs. It also logs facts that only a server over sockets has."""

    def __init__(self, name: Name) -> None:
        self._name = name
        self._writer = Writer()
        self.wants: Final = logger().isEnabledFor
        """Whether the logger wants records of a level."""
        self._ending = False
        self._repeated: dict[str, Repeated] = {}

    def __call__(self, event: Reported) -> None:
        """Log an event."""
        write = self._writer.write
        match event:
            case Listening():
                write(logging.DEBUG, "%s listens", self._name)
            case Connected(peer=peer):
                text = "%s let connection %d in, process %d of user %d"
                write(logging.DEBUG, text, self._name, peer.connection, peer.pid, peer.uid)
            case Refused(peer=peer, reason=reason):
                text = "%s turned process %d of user %d away: %s"
                self._repeat(f"clients of user {peer.uid} turned away", logging.WARNING, text, self._name, peer.pid, peer.uid, reason)
            case Folded():
                pass  # each message would be a line
            case Disconnected(peer=peer, departure=departure, reason=""):
                text = "%s has no connection %d of process %d, user %d, any more: %s"
                write(logging.DEBUG, text, self._name, peer.connection, peer.pid, peer.uid, departure.value)
            case Disconnected(peer=peer, reason=reason):
                level = logging.INFO if self._ending else logging.WARNING  # while the server ends, a late client is no news for an operator
                text = "%s dropped connection %d of process %d, user %d: %s"
                self._repeat("clients dropped", level, text, self._name, peer.connection, peer.pid, peer.uid, reason)
            case Stopping(ending=ending):
                self._ending = True
                write(logging.DEBUG, "%s ends: %s", self._name, ending.value)
            case Survived(what=what, error=error):
                function = "left" if isinstance(what, Left) else "woken"
                text = "%s goes on with the carry before, but its %s failed: mend that function"
                self._repeat(f"failures of {function}", logging.ERROR, text, self._name, function, error=error)

    def lost(self, peer: Peer) -> None:
        """A client left without reading everything that was written to it."""
        text = (
            "%s lost connection %d of process %d, user %d, which went without reading what was sent to it: "
            "it died, or that was over its limits.message or limits.unread"
        )
        self._repeat("clients lost", logging.INFO, text, self._name, peer.connection, peer.pid, peer.uid)

    def short(self, error: OSError) -> None:
        """The system has no descriptor or memory left for a client."""
        self._writer.write(logging.WARNING, "%s accepts nobody for now, and goes on trying: %s", self._name, error)

    def broken(self, error: BaseException) -> None:
        """The system, the memory or other code on the server's thread failed, so that the server ends."""
        self._writer.write(logging.ERROR, "%s ends at once, and returns its carry, because of %r", self._name, error, error=error)

    def unlogged(self, failure: object) -> None:
        """The log of the server's fold failed in a way that leaves open what it has."""
        self._writer.write(logging.ERROR, "%s ends at once: %s", self._name, failure)

    def warn(self, text: str) -> None:
        """An operator should know this."""
        self._writer.write(logging.WARNING, "%s serves on, but %s", self._name, text)

    def damaged(self, damage: str) -> None:
        """Another process changed the files of the name."""
        self._writer.write(logging.ERROR, "%s serves on, but %s", self._name, damage)

    def mended(self, what: str) -> None:
        """The server put back files of the name that another process had removed."""
        text = "%s serves on, and has put back what another process removed: %s"
        self._writer.write(logging.WARNING, text, self._name, what)

    def unnotified(self, line: str, error: OSError) -> None:
        """The service manager could not be told this."""
        text = "%s serves on, but the socket that NOTIFY_SOCKET names did not take %s: %s"
        self._repeat(f"failures to tell the service manager {line}", logging.WARNING, text, self._name, line, error)

    def failed(self, event: Event, error: BaseException) -> None:
        """The observer of the program raised this."""
        kind = type(event).__name__
        text = "%s goes on, but its observer failed at %s: mend that function"
        self._repeat(f"failures of the observer at {kind}", logging.ERROR, text, self._name, kind, error=error)

    def tick(self, now: float) -> None:
        """Log how many records were only counted, once their second is over."""
        for kind, repeated in list(self._repeated.items()):
            if now >= repeated.until:
                del self._repeated[kind]
                if repeated.count:
                    self._writer.write(repeated.level, "%s: %d more %s within a second", self._name, repeated.count, kind)

    def end(self) -> None:
        """The server has ended."""
        self.tick(float("inf"))
        self._writer.end()

    def _repeat(self, kind: str, level: int, text: str, *facts: object, error: BaseException | None = None) -> None:
        """Log this, unless something of its kind was logged within the last second. Then count it."""
        now = monotonic()
        self.tick(now)
        if (known := self._repeated.get(kind)) is not None:
            known.count += 1
            return
        self._repeated[kind] = Repeated(level, now + _QUIET)
        self._writer.write(level, text, *facts, error=error)


def tell(events: deque[Reported], log: Log, observe: Observer | None) -> None:
    """Give these events to the log and the observer, and remove them."""
    while events:
        event = events.popleft()
        log(event)
        if observe is not None and not isinstance(event, Survived):
            try:
                observe(event)
            except BaseException as error:  # noqa: BLE001 - the observer is the user's code, and must not end a server
                log.failed(event, error)
