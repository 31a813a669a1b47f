"""A server: the host of the core over non-blocking sockets, all on the thread that called it."""

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

from ipcfold.continuation import Continuation, Handler
from ipcfold.core.host import Host
from ipcfold.errors import HandlerFailed, SystemFailure, UsedAfterFork
from ipcfold.events import Ending
from ipcfold.message import Message
from ipcfold.peer import Name, Trust
from ipcfold.result import flat_map
from ipcfold.unix.claim import Claim
from ipcfold.unix.clients import Client, Clients
from ipcfold.unix.courier import Courier
from ipcfold.unix.door import Door
from ipcfold.unix.poller import Poller
from ipcfold.unix.report import Report
from ipcfold.unix.signals import handled
from ipcfold.unix.stream import LONGEST_SLEEP, READ, READ_SIZE

C = TypeVar("C")

_BURST: Final = 0.001  # seconds of folding after which to look at the sockets again: somebody else may have come


class _ForkedError(Exception):
    """The handler returned in a child that it forked, which must not serve."""


running: Final[set[Loop[Any]]] = set()  # Any: of whatever carry
"""Those of this process."""


@final
class Loop(Generic[C]):
    """One run of a server."""

    def __init__(self, name: Name, claim: Claim, host: Host[C], handler: Handler[C], trust: Trust, report: Report, period: float) -> None:
        """Every `period` seconds it is looked whether the socket is still in its place."""
        self._name = name
        self._period = period
        self._report = report
        self._ending = Ending.STOPPED  # by the handler, if by nothing else
        self._claim = claim
        self._door: Door | None = None
        self._host = host
        self._handler = handler
        self._trust = trust
        self._owner = os.getpid()
        self.thread = get_ident()
        self._forked = False  # rather than to compare process ids, which come back
        self._courier = Courier(lambda: None)  # until there is a door
        self._signalled = False
        self._interruptible = False  # whether the handler runs, which alone can be interrupted without harm
        self._poller = Poller[object]()
        self._clients = Clients(host, self._poller, report)
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)

    def run(self, signals: Iterable[signal.Signals], mode: int) -> Result[C, HandlerFailed[C] | UsedAfterFork | SystemFailure]:
        """Serve until the fold ends, at a socket of that mode."""
        running.add(self)
        try:
            # Whoever sees the socket may send a signal, so those are looked after first.
            with handled(signals, self._end, self._interrupt, self.wake):
                return flat_map(self._served)(self._claim.publish(mode))
        except _ForkedError:
            return Failure(UsedAfterFork(self._name, self._owner))
        finally:
            if not self._forked:
                self._courier.end()
            self._claim.withdraw()
            self.abandon()
            running.discard(self)

    def _served(self, listener: socket.socket) -> Result[C, HandlerFailed[C] | SystemFailure]:
        door = self._door = Door(self._report, self._claim, listener, self._poller, self._period)
        try:
            door.open(monotonic())
            self._poller.watch(self._woken, READ, self._woken)
        except OSError as error:
            return Failure(SystemFailure("watch", self._claim.path, error.strerror or str(error)))
        self._courier = Courier(partial(self._settle, door))
        self._report.listening()
        self._serve(door)
        return self._host.result()

    def end(self) -> None:
        """End in good order, as a signal does; from any thread."""
        self._signalled = True
        with suppress(OSError):  # it is over already
            self._wake.send(b"\0")

    @property
    def wake(self) -> int:
        """The descriptor that signals write to."""
        return self._wake.fileno()

    def abandon(self) -> None:
        """Close every descriptor; in a forked child these are copies, and what the parent sees does not change."""
        self._clients.abandon()
        if self._door is not None:
            self._door.abandon()
        self._poller.close()
        self._woken.close()
        self._wake.close()

    def forked(self) -> None:
        """This is a child of the process that serves."""
        self._forked = True
        self._courier.forked()
        self.abandon()

    def _serve(self, door: Door) -> None:
        while True:
            try:
                self._settle(door)
                if self._host.over:
                    return
                self._turn(door)
            except KeyboardInterrupt:  # from the handler
                self._interruptible = False
                if self._forked:
                    raise
                self._courier.take_back()  # if it struck before that was done
                self._ending = Ending.INTERRUPTED
                self._host.interrupted(monotonic())

    def _turn(self, door: Door) -> None:
        host, clients, due = self._host, self._clients, self._due(door)
        patience = 0.0 if host.ready else min(max(0.0, due - monotonic()), LONGEST_SLEEP)
        # A process that was stopped wakes up out of time and empty-handed: it looks at what came before it says who is late.
        happened = self._poller.poll(patience) or self._poller.poll(0.0)
        now = monotonic()
        for thing, events in happened:
            if isinstance(thing, Client):
                clients.happened(thing, events, now)
            elif thing is door:
                for stream, peer in door.accepted(self._trust, host.refusal, now):
                    clients.add(stream, host.connect(peer, now))
            else:
                self._woken.recv(READ_SIZE)
        if self._signalled and host.accepting:
            self._ending = Ending.SIGNALLED
            host.shutdown(now)
        if now >= due:
            accepting = host.accepting
            if accepting:
                door.tick(now)
            host.tick(now)
            if accepting and not host.accepting:
                self._ending = Ending.TIMED_OUT
        host.resume(now)
        self._fold(door, now)
        host.absent(monotonic() - now)

    def _due(self, door: Door) -> float:
        """When something is to be done, whatever happens."""
        due = self._host.deadline
        if not self._host.accepting:
            return inf if due is None else due
        return door.deadline if due is None else min(due, door.deadline)

    def _fold(self, door: Door, woken: float) -> None:
        """Ask the handler for a burst of messages, which lasts as long as looking at the sockets did, at least."""
        host, handler, courier, observed = self._host, self._handler, self._courier, self._report.observed
        now, owing = monotonic(), host.owing
        until = now + max(_BURST, now - woken)
        while now < until and (asked := host.ask()) is not None:
            message, continuation = asked
            lent = owing and courier.lend()
            if owing and not lent:
                self._settle(door)  # nobody can write while the handler runs
            failure: BaseException | None = None
            asked_at = monotonic() if observed else now
            self._interruptible = True
            try:
                continuation = handler(message, continuation, continuation.carry)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # the handler is somebody else's code: whatever it raises is its answer
                if self._forked:
                    raise  # a forked child on its way out
                failure = error
            finally:
                self._interruptible = False
                if lent:
                    courier.take_back()
            if failure is not None:
                host.failed(failure, monotonic())
                return
            if self._forked:
                raise _ForkedError
            now = monotonic()
            host.answered(continuation, now)
            owing = True
            if observed:
                self._observed(message, continuation, now - asked_at)

    def _observed(self, message: Message, answer: Continuation[C], duration: float) -> None:
        if isinstance(self._host.result(), Success):
            self._report.folded(message, answer, duration)

    def _settle(self, door: Door) -> None:
        """Look after every end that something happened to."""
        if not self._host.accepting and not door.closed:
            door.close()  # before anybody is told, so that who is told finds the name gone
            self._report.stopping(Ending.FAILED if isinstance(self._host.result(), Failure) else self._ending)
        if self._report.untold:
            self._report.flush()
        self._clients.settle()

    def _end(self) -> None:
        """A signal came: end in good order. Once more, and the handler is stuck: it is interrupted."""
        if self._signalled:
            self._interrupt()
        self._signalled = True

    def _interrupt(self) -> None:
        """Interrupt the handler; where something else is under way, that is brought to its end first."""
        if self._interruptible:
            raise KeyboardInterrupt
        self._signalled = True


def _abandon() -> None:
    """Close a forked child's copies: with them open, a dead server would look alive for as long as the child lives."""
    loops = list(running)
    if loops:
        waking = signal.set_wakeup_fd(-1)
        if all(waking != loop.wake for loop in loops):  # somebody else's
            signal.set_wakeup_fd(waking)
    for loop in loops:
        loop.forked()


os.register_at_fork(after_in_child=_abandon)
