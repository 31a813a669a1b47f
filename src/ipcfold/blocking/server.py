"""A server: the core over non-blocking sockets, on the thread that called it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from math import inf
from threading import get_ident
from time import monotonic
from typing import Any, Final, Generic, TypeVar, final

from returns.result import Failure, Result, Success

from ipcfold.blocking.flusher import Flusher
from ipcfold.continuation import Continuation, Handler
from ipcfold.core.server import ServerCore
from ipcfold.errors import HandlerFailed, SystemFailure, UsedAfterFork
from ipcfold.events import Ending
from ipcfold.local.claim import Claim
from ipcfold.local.clients import ClientSocket, ClientSockets
from ipcfold.local.listener import Listener
from ipcfold.local.log import ServerLog
from ipcfold.local.poller import Poller
from ipcfold.local.signals import handled
from ipcfold.local.stream import LONGEST_SLEEP, READ, READ_SIZE
from ipcfold.message import Message
from ipcfold.peer import Name, Trust
from ipcfold.result import flat_map

C = TypeVar("C")

_BURST: Final = 0.001  # seconds of folding after which the sockets are checked again, because another client may have sent something


class _ForkedError(Exception):
    """The handler returned in a child process that it forked. The child must not serve."""


running: Final[set[Loop[Any]]] = set()  # Any: of whatever carry
"""The servers that run in this process."""


@final
class Loop(Generic[C]):
    """One run of a server."""

    def __init__(
        self, name: Name, claim: Claim, core: ServerCore[C], handler: Handler[C], trust: Trust, log: ServerLog, period: float
    ) -> None:
        """The listener checks every `period` seconds that the socket is still in its place."""
        self._name = name
        self._period = period
        self._log = log
        self._ending = Ending.STOPPED  # unless something else ends it, the handler does
        self._claim = claim
        self._listener: Listener | None = None
        self._core = core
        self._handler = handler
        self._trust = trust
        self._owner = os.getpid()
        self.thread = get_ident()
        self._forked = False  # a flag, because the kernel reuses process ids
        self._flusher = Flusher(lambda: None)  # replaced once there is a listener
        self._signalled = False
        self._interruptible = False  # whether the handler runs: nothing else can be interrupted without harm
        self._poller = Poller[object]()
        self._clients = ClientSockets(core, self._poller, log)
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)

    def run(self, signals: Iterable[signal.Signals], mode: int) -> Result[C, HandlerFailed[C] | UsedAfterFork | SystemFailure]:
        """Serve until the fold ends, at a socket of that mode."""
        running.add(self)
        try:
            # A process that sees the socket may send a signal, so the signal handlers are installed first.
            with handled(signals, self._end, self._interrupt, self.wake):
                return flat_map(self._served)(self._claim.publish(mode))
        except _ForkedError:
            return Failure(UsedAfterFork(self._name, self._owner))
        finally:
            if not self._forked:
                self._flusher.end()
            self._claim.withdraw()
            self.abandon()
            running.discard(self)

    def _served(self, bound: socket.socket) -> Result[C, HandlerFailed[C] | SystemFailure]:
        listener = self._listener = Listener(self._log, self._claim, bound, self._poller, self._period)
        try:
            listener.open(monotonic())
            self._poller.watch(self._woken, READ, self._woken)
        except OSError as error:
            return Failure(SystemFailure("watch", self._claim.path, error.strerror or str(error)))
        self._flusher = Flusher(partial(self._settle, listener))
        self._log.listening()
        self._serve(listener)
        return self._core.result()

    def end(self) -> None:
        """End in good order, as after a signal; any thread may call it."""
        self._signalled = True
        with suppress(OSError):  # the server has ended already
            self._wake.send(b"\0")

    @property
    def wake(self) -> int:
        """The descriptor to which the interpreter writes on a signal."""
        return self._wake.fileno()

    def abandon(self) -> None:
        """Close every descriptor. In a forked child these are copies, so the parent is not affected."""
        self._clients.abandon()
        if self._listener is not None:
            self._listener.abandon()
        self._poller.close()
        self._woken.close()
        self._wake.close()

    def forked(self) -> None:
        """Note that this process is a forked child of the server."""
        self._forked = True
        self._flusher.forked()
        self.abandon()

    def _serve(self, listener: Listener) -> None:
        while True:
            try:
                self._settle(listener)
                if self._core.over:
                    return
                self._turn(listener)
            except KeyboardInterrupt:  # from the handler
                self._interruptible = False
                if self._forked:
                    raise
                self._flusher.take_back()  # if the interrupt came before that was done
                self._ending = Ending.INTERRUPTED
                self._core.interrupted(monotonic())

    def _turn(self, listener: Listener) -> None:
        core, clients, due = self._core, self._clients, self._due(listener)
        patience = 0.0 if core.ready else min(max(0.0, due - monotonic()), LONGEST_SLEEP)
        # A process that was stopped (SIGSTOP) may find its deadlines passed. It reads what has arrived before it judges who is late.
        happened = self._poller.poll(patience) or self._poller.poll(0.0)
        now = monotonic()
        for thing, events in happened:
            if isinstance(thing, ClientSocket):
                clients.happened(thing, events, now)
            elif thing is listener:
                for stream, peer in listener.accepted(self._trust, core.refusal, now):
                    clients.add(stream, core.connect(peer, now))
            else:
                self._woken.recv(READ_SIZE)
        if self._signalled and core.accepting:
            self._ending = Ending.SIGNALLED
            core.shutdown(now)
        if now >= due:
            accepting = core.accepting
            if accepting:
                listener.tick(now)
            core.tick(now)
            if accepting and not core.accepting:
                self._ending = Ending.TIMED_OUT
        core.resume(now)
        self._fold(listener, now)
        core.absent(monotonic() - now)

    def _due(self, listener: Listener) -> float:
        """The time of the next deadline."""
        due = self._core.deadline
        if not self._core.accepting:
            return inf if due is None else due
        return listener.deadline if due is None else min(due, listener.deadline)

    def _fold(self, listener: Listener, woken: float) -> None:
        """Ask the handler for a burst of messages. A burst lasts at least as long as the work on the sockets before it."""
        core, handler, flusher, observed = self._core, self._handler, self._flusher, self._log.observed
        now, owing = monotonic(), core.owing
        until = now + max(_BURST, now - woken)
        while now < until and (asked := core.ask()) is not None:
            message, continuation = asked
            lent = owing and flusher.lend()
            if owing and not lent:
                self._settle(listener)  # without a flusher nothing can be written while the handler runs
            failure: BaseException | None = None
            asked_at = monotonic() if observed else now
            self._interruptible = True
            try:
                continuation = handler(message, continuation, continuation.carry)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # the handler is the user's code: whatever it raises ends the fold
                if self._forked:
                    raise  # in a forked child the exception leaves the server
                failure = error
            finally:
                self._interruptible = False
                if lent:
                    flusher.take_back()
            if failure is not None:
                core.failed(failure, monotonic())
                return
            if self._forked:
                raise _ForkedError
            now = monotonic()
            core.answered(continuation, now)
            owing = True
            if observed:
                self._observed(message, continuation, now - asked_at)

    def _observed(self, message: Message, answer: Continuation[C], duration: float) -> None:
        if isinstance(self._core.result(), Success):
            self._log.folded(message, answer, duration)

    def _settle(self, listener: Listener) -> None:
        """Write to, watch or close every connection that has changed."""
        if not self._core.accepting and not listener.closed:
            listener.close()  # first, so that a client that is asked to close finds the name gone
            self._log.stopping(Ending.FAILED if isinstance(self._core.result(), Failure) else self._ending)
        if self._log.untold:
            self._log.flush()
        self._clients.settle()

    def _end(self) -> None:
        """End in good order after a signal. A second signal means that the handler is stuck, so it is interrupted."""
        if self._signalled:
            self._interrupt()
        self._signalled = True

    def _interrupt(self) -> None:
        """Interrupt the handler. If other code runs, it finishes first, and then the server ends."""
        if self._interruptible:
            raise KeyboardInterrupt
        self._signalled = True


def _abandon() -> None:
    """Close a forked child's copies. Otherwise a dead server would look alive for as long as the child lives."""
    loops = list(running)
    if loops:
        waking = signal.set_wakeup_fd(-1)
        if all(waking != loop.wake for loop in loops):  # another library has set it
            signal.set_wakeup_fd(waking)
    for loop in loops:
        loop.forked()


os.register_at_fork(after_in_child=_abandon)
