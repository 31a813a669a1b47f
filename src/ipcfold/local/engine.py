"""The sockets of a server: one descriptor to wait on, a turn, and the time of the next one.

The engine never blocks longer than it is told to, and it does not call the handler. Whoever has a loop can drive it: the
blocking shell waits in `turn`, and an event loop may watch the descriptor and take turns that do not wait.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import inf
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, final

from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.accelerator import accelerated, fast
from ipcfold.continuation import Continuation
from ipcfold.core.fold import Ask
from ipcfold.core.server import ServerCore
from ipcfold.core.transports import READ, Transports
from ipcfold.errors import HandlerFailed, LogFailed, SystemFailure
from ipcfold.events import Ending, Observer
from ipcfold.local.claim import Claim
from ipcfold.local.client_socket import ClientSocket
from ipcfold.local.clock import SYSTEM, Clock
from ipcfold.local.credentials import peer_of, trusted
from ipcfold.local.duty import Duty
from ipcfold.local.forks import process_id
from ipcfold.local.listener import Listener
from ipcfold.local.log import Log, tell
from ipcfold.local.notices import Notices, manager
from ipcfold.local.poller import Poller
from ipcfold.local.release import surely
from ipcfold.local.signals import Wakeup
from ipcfold.local.stream import AT_ONCE, LONGEST_SLEEP, shut
from ipcfold.peer import Trust
from ipcfold.result import flat_map

if TYPE_CHECKING:
    from ipcfold.local.logged import Logged  # few servers have a log

C = TypeVar("C")

_CLOCK: Final = 0.1
"""Seconds after which to look again whether somebody has set the clock. To look for each message costs more than to add."""

running: Final[set[Engine[Any]]] = set()  # Any: of whatever carry
"""The engines of this process."""


@final
class ForkedError(Exception):
    """This process is a forked child of the server's process. It must not serve."""


@final
class Engine(Generic[C]):
    """The sockets of one server, and its core."""

    __slots__ = (
        "_accepted",
        "_claim",
        "_clocked",
        "_core",
        "_due",
        "_ending",
        "_heard",
        "_listener",
        "_log",
        "_observe",
        "_owner",
        "_poll",
        "_poller",
        "_ready",
        "_rotated",
        "_rotation",
        "_run",
        "_transports",
        "_trust",
        "_unwatch",
        "answered",
        "beside",
        "burst",
        "clock",
        "core",
        "duty",
        "forked",
        "listens",
        "logged",
        "now",
        "observed",
        "poll",
        "thread",
        "wakeup",
        "woken",
    )

    def __init__(self, core: ServerCore[C], claim: Claim, trust: Trust, log: Log, observe: Observer | None, clock: Clock = SYSTEM) -> None:
        """Raises `OSError` if the system has no descriptors left."""
        self._core = self.core = core
        self._claim = claim
        self._trust = trust
        self._log = log
        self._observe = observe
        self.observed = observe is not None
        """Whether to measure how long the handler runs."""
        self.answered: Callable[[Continuation[C], float, float], Ask[C] | None] = self._answered if self.observed else core.answered
        """See `ServerCore.answered`. An observer is told between the messages. A loop that awaits handlers puts its own in this place."""
        self._listener: Listener | None = None
        self._accepted = 0
        self._run = int.from_bytes(os.urandom(6))  # as many bits as every number of JSON has
        self.clock = clock
        self.now: Callable[[], float] = clock.monotonic
        """The time of the server."""
        self._heard = self._due = self.now()
        core.clock(clock.time() - self._heard)
        self._clocked = -inf  # when to look at the clock again
        self._rotation = self._heard
        self._rotated = 0  # events since then
        self._ending = False
        self.woken = self._heard
        """When the last wait was over."""
        self.listens: Callable[[], object] = lambda: None
        """Called once, when clients can connect."""
        self.logged: Logged[C] | None = None
        """The log of the server, if it has one."""
        self.duty: Duty | None = None
        """What to do from time to time beside serving."""
        self.thread = get_ident()
        """The thread that serves."""
        self.beside = False
        """Whether turns are taken while the handler is still working, as a handler does that an event loop awaits."""
        self.forked = False  # a flag, because the kernel reuses process ids
        """Whether this process is a forked child of the server."""
        self._owner = os.getpid()
        self._poller = Poller[object]()
        self.poll: Callable[[float], list[tuple[Any, int]]] = self._poller.poll  # Any: whatever the poller watches
        """Waits for events for so many seconds."""
        self._poll: Callable[[float], list[tuple[Any, int]]] = self.poll if clock is SYSTEM else self._await  # Any: as above
        self._ready = 0  # events of the last wait, if it has told
        self.burst: fast.Burst | None = None
        """It folds plain messages in C; `None` if the accelerator is not used."""
        self._transports = Transports(core, self._withdraw)
        self.wakeup: Final = Wakeup()
        """What a signal or another thread ends a wait with."""
        self._unwatch = clock.watch(self.wakeup.call)
        running.add(self)

    @property
    def began(self) -> float:
        """When the fold began, in seconds since the epoch: with a log, when the first server did."""
        return self._core.fold.began or self.clock.time()

    def recovered(self, connections: int) -> None:
        """Note how many connections there are in the log, so that no later client is taken for one of an earlier server.

        Their numbers go on, so the run is the same, too: a client of an earlier server is gone, and not unknown.
        """
        self._accepted, self._run = connections, self._core.fold.run

    def listen(self, period: float, bound: socket.socket) -> Result[None, SystemFailure]:
        """Accept clients at this socket, and check every `period` seconds that it is in its place."""
        try:
            self._listener = Listener(self._log, self._claim, bound, self._poller, period, self.now())
            self._poller.watch(self.wakeup.stream, READ, self.wakeup)
        except OSError as error:
            shut(bound)
            return Failure(SystemFailure("watch", self._claim.path, error.strerror or str(error)))
        self._core.listening()
        self._tell()
        self.listens()
        return Success(None)

    def accelerate(self, loop: object, wait: Callable[[float], list[tuple[Any, int]]] | None = None) -> None:  # Any: as of the poller
        """Fold plain messages while waiting for events. The accelerator calls the handler of this loop.

        Where it is not built, `wait` does the same, if there is one, unless the server has a log.
        """
        if self.observed or self.clock is not SYSTEM:
            return
        if wait is not None and self.logged is None:  # `wait` writes each answer at once
            self._poll = wait
        if accelerated and sys.platform == "linux" and fast.is_enabled():
            self.burst = fast.Burst()
            self._poll = partial(self.burst.wait, loop, self._poller.descriptor, self._poller.things)

    def served(self, ready: int, heard: float | None) -> None:
        """Note of the last wait how many events it gave, and since when all that had arrived is read, if it is."""
        self._ready = ready
        if heard is not None:
            self._heard, self._rotated = heard, 0

    def fileno(self) -> int:
        """The descriptor that is readable when a turn has something to do."""
        return self._poller.descriptor

    @property
    def accepting(self) -> bool:
        """Whether clients can connect."""
        return self._core.accepting

    @property
    def over(self) -> bool:
        """Whether the server has ended."""
        return not self._core.accepting and self._core.over

    def turn(self, longest: float) -> Ask[C] | None:
        """Write what is owed, wait for events for at most `longest` seconds, and handle them.

        Returns the message to ask the handler for, if there is one. It stays the same until it is answered. In a forked
        child it raises `ForkedError`, and may raise anything else first, because the child's copies are closed at any step.
        """
        if self.inherited():
            raise ForkedError
        core, listener = self._core, self._listener
        if self.logged is not None:
            self._commit(self.logged)
        now = self.now()
        due = self._transports.settle(now, self._heard)[2]
        if not core.accepting:
            if core.over:
                self._tell()
                return None
        elif listener is not None and listener.deadline < due:
            due = listener.deadline
        duty = self.duty
        if duty is not None and duty.deadline < due:
            due = duty.deadline
        # A process that was stopped (SIGSTOP) may find its deadlines passed. It reads what has arrived before it judges who is late.
        seconds = due - now
        if seconds > longest:  # noqa: PLR1730 - calls of `min` and `max` for each message cost more than these comparisons
            seconds = longest
        self._ready = 0
        return self._handle(self._poll(seconds if seconds > 0.0 else 0.0))  # noqa: FURB136 - as above

    def look(self, late: float) -> Ask[C] | None:
        """Handle the events that are there, as `turn`, without waiting. An event loop calls this when it has waited for the descriptor.

        `late`: how many seconds ago this was due. Nobody else is late for them.
        """
        if self.inherited():
            raise ForkedError
        core, burst = self._core, self.burst
        if self.logged is not None:
            self._commit(self.logged)
        core.shared.paused += late
        self._ready = 0
        heard = self.now()
        happened = self._poll(0.0)
        if burst is not None and not happened and burst.ready and core.idle:  # the accelerator has done all that there was, as usual
            now = self.woken = self.now()
            if now < self._clocked and now < self.due and not self._ending and not self.inherited():
                return None
        return self._handle(happened, heard)  # the accelerator has called the handler since, and read nothing that came meanwhile

    def _handle(self, happened: list[tuple[Any, int]], heard: float = inf) -> Ask[C] | None:  # Any: what the poller returns
        """Handle these events, and all that follows from them. `heard`: when they were asked for, unless that is now."""
        core, listener, duty = self._core, self._listener, self.duty
        ready = max(len(happened), self._ready if self.burst is None else self.burst.ready)
        if not ready:
            happened = self._poller.poll(0.0)
            ready = len(happened)
        if self.inherited():  # a signal handler forked meanwhile
            raise ForkedError
        if self.burst is not None and self.logged is not None:
            self.logged.commit()  # of what was folded while waiting
        now = self.woken = self.now()
        if now >= self._clocked:
            core.clock(self.clock.time() - now)
            self._clocked = now + _CLOCK
        for thing, events in happened:
            if isinstance(thing, ClientSocket):
                thing.happened(events, self._transports, now)
                if self.beside:
                    thing.rest()
            elif isinstance(thing, Listener):
                self._accept(thing, now)
            else:
                self.wakeup.read()
        if ready < AT_ONCE:
            self._heard, self._rotated = now if heard > now else heard, 0  # noqa: FURB136 - to call `min` costs more
        else:
            self._rotate(ready, now)
        if duty is not None and duty.deadline <= now and duty.tick(now):
            self._ending = True
        if core.accepting:
            if self._ending:
                core.shutdown(now)
            elif listener is not None and listener.deadline <= now:
                listener.tick(now)
        if self.forked:  # by other code that ran here, such as `trust`; a client that it accepted must not hear of two servers
            raise ForkedError
        ask, _, self._due = self._transports.settle(now, self._heard)
        if core.events:
            self._tell()
        return ask

    def settle(self) -> float:
        """Write what is owed. Returns when the next turn is due, even without an event; infinite for never."""
        if self.logged is not None:
            self._commit(self.logged)
        self._due = self._transports.settle(self.now(), self._heard)[2]
        if self._core.events:
            self._tell()
        return self.due

    @property
    def due(self) -> float:
        """The same, when nothing is owed since the last turn."""
        due = self._core.due if self.beside else self._due  # a message that the handler has would make it due at once
        if self._listener is not None and self._core.accepting and self._listener.deadline < due:
            due = self._listener.deadline
        return due if self.duty is None else min(due, self.duty.deadline)

    def flush(self) -> None:
        """Write what is owed. Another thread may call it while the handler runs, and then nothing else may use the engine."""
        if self.burst is not None:
            self.burst.flush()
        if self.logged is not None:
            self.logged.commit()
        self._transports.settle(self.now(), self._heard)

    def _commit(self, logged: Logged[C]) -> None:
        """Make durable what was folded, before anything that follows from it is written or told."""
        logged.commit()
        logged.keep()
        while logged.warnings:
            self._log.warn(logged.warnings.pop(0))
        if self.observed and self._core.events:
            self._tell()

    def _answered(self, continuation: Continuation[C], now: float, since: float) -> Ask[C] | None:
        ask = self._core.answered(continuation, now, since)
        if self.logged is None:
            self._tell()
        return ask

    def failed(self, error: BaseException) -> None:
        """See `ServerCore.failed`."""
        self._core.failed(error, self.now())

    def interrupted(self) -> None:
        """See `ServerCore.interrupted`."""
        self._core.interrupted(self.now())

    def end(self) -> None:
        """End in good order, as after a signal; any thread may call it."""
        self._ending = True
        self.wakeup.call()

    def inherited(self) -> bool:
        """Whether this process is a forked child of the server's. A fork by a library in C runs no hooks, so the process id counts, too."""
        if not self.forked and process_id() != self._owner:
            self._claim.disown()
            self.fork()
        return self.forked

    def result(self) -> Result[C, HandlerFailed[C] | LogFailed[C]]:
        """The last carry, or the failure of the log or the handler."""
        if self.logged is not None and self.logged.failure is not None:
            return Failure(self.logged.failure)
        return flow(self._core.result(), flat_map(Success))

    def conclude(self) -> None:
        """Write the end of the server to its log, if it has one, and close the log."""
        logged = self.logged
        if logged is None:
            return
        if self.inherited():
            logged.abandon()
        else:
            surely(lambda: logged.end(self._core.fold.ending), logged.close)

    def broken(self, error: BaseException) -> None:
        """Log that the server ends because of this, which came from the system or from other code that ran on its thread."""
        failure = None if self.logged is None else self.logged.failure
        surely(lambda: self._log.broken(error) if failure is None else self._log.unlogged(failure))

    def speak(self) -> None:
        """Tell the service manager of this process, if there is one, that it is ready, and from now on that it lives."""
        found = manager()
        if found is not None:
            try:
                self.duty = Notices(found, self._log.unnotified)
            except OSError as error:
                self._log.unnotified("READY=1", error)

    def ended(self, ending: Ending) -> None:
        """Tell the observer what it was not told, because the server closed everything at once."""
        surely(lambda: self._core.broken(ending), self._tell)

    def departed(self) -> Ask[C] | None:
        """The next departure to fold, once everything is closed."""
        return self._core.ask(self.now())

    def close(self) -> None:
        """Release the name and every descriptor but those of the wakeup."""
        surely(self._unwatch, self._claim.withdraw, *self._copies(), self._log.end)
        running.discard(self)

    def fork(self) -> None:
        """Note that this process is a forked child, and close its copies of the descriptors. The parent is not affected."""
        self.forked = True
        surely(*self._copies(), self.wakeup.close, *(() if self.logged is None else (self.logged.abandon,)))

    def _copies(self) -> tuple[Callable[[], None], ...]:
        """How to close this process's copies of the sockets."""
        listener = () if self._listener is None else (self._listener.abandon,)
        duty = () if self.duty is None else (self.duty.close,)
        return (self._transports.abandon, *listener, self._poller.close, *duty)

    def _await(self, seconds: float) -> list[tuple[Any, int]]:  # Any: as of the poller
        """Wait for events until the clock has gone on by so many seconds."""
        return self.poll(min(LONGEST_SLEEP, self.clock.pause(seconds)))

    def _rotate(self, events: int, now: float) -> None:
        """Note since when all that had arrived is read, though there may be more. Nobody is late whose bytes are still there."""
        if not self._rotated:
            self._rotation = now
        self._rotated += events
        if self._rotated > len(self._transports):  # the poller returns every socket that is ready once, before it returns one again
            self._heard, self._rotated = self._rotation, 0

    def _accept(self, listener: Listener, now: float) -> None:
        for stream in listener.accepted(now):
            self._admit(stream, now)

    def _admit(self, stream: socket.socket, now: float) -> None:
        """Let this client in, or refuse it."""
        self._accepted += 1
        try:
            peer = peer_of(stream, self._accepted, self._run)
            stream.setblocking(False)
        except OSError:
            shut(stream)
            return
        accepted = trusted(self._trust, peer)
        if self.inherited():
            shut(stream)
            raise ForkedError
        if not accepted:
            self._core.refuse(peer, "it is not trusted (trust)")
            shut(stream)
        elif (end := self._core.connect(peer, now)) is None:
            shut(stream)
        else:
            self._transports.add(end, ClientSocket(stream, end, self._poller, self._log, self.now))

    def _withdraw(self) -> None:
        """Give the name up, so that a client that is asked to close finds it gone."""
        if self._listener is not None:
            self._listener.close()

    def _tell(self) -> None:
        if self.duty is not None:
            for event in self._core.events:
                self.duty.see(event)
        tell(self._core.events, self._log, self._observe)
        if self.observed and self.inherited():  # the observer is the user's code
            raise ForkedError


def _abandon() -> None:
    """Close a forked child's copies. Otherwise a dead server would look alive for as long as the child lives."""
    engines = list(running)
    if engines:
        with suppress(ValueError):  # not in this interpreter
            waking = signal.set_wakeup_fd(-1)
            if all(waking != engine.wakeup.writer for engine in engines):  # another library has set it
                signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    for engine in engines:
        engine.fork()


os.register_at_fork(after_in_child=_abandon)
