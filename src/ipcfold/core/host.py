"""Joins many serving ends to one fold: events of connections in, messages to ask for and ends to look after out.

The shell tells what happened, asks the handler for what `ask` hands out, then looks after the ends in
`attention()`: writes their outbox, reads if they want to, closes those that are over. Time is an event (`tick`),
and `deadline` says when the next one is due. Nothing here walks over all peers for a message.
"""

from __future__ import annotations

from functools import partial
from heapq import heappop, heappush
from typing import Generic, TypeVar, final

from returns.result import Result

from ipcfold.continuation import Continuation
from ipcfold.core.fold import Ask, Fold
from ipcfold.core.frame import unsendable
from ipcfold.core.serving import Serving
from ipcfold.errors import HandlerFailed
from ipcfold.limits import Limits
from ipcfold.peer import Peer

C = TypeVar("C")


@final
class Host(Generic[C]):
    """A whole server, without its sockets."""

    __slots__ = ("_attention", "_deadlines", "_ends", "_fold", "_heartbeat", "_limits")

    def __init__(self, carry: C, *, heartbeat: float, limits: Limits, timeout: float | None, now: float) -> None:
        self._fold = Fold(carry, timeout=timeout, refuse=partial(unsendable, limits), now=now)
        self._heartbeat = heartbeat
        self._limits = limits
        self._ends: dict[int, Serving] = {}
        self._attention: dict[int, Serving] = {}
        # One entry a connection at least. It may be early, because silence is measured anew with every byte: it
        # is looked at when due and put back, rather than moved for every message.
        self._deadlines: list[tuple[float, int]] = []

    @property
    def accepting(self) -> bool:
        """Whether new connections are wanted."""
        return not self._fold.stopped

    @property
    def full(self) -> bool:
        """Whether one more connection is over the limit."""
        return len(self._ends) >= self._limits.connections

    @property
    def over(self) -> bool:
        """Whether the fold has ended and every connection is gone."""
        return self._fold.stopped and not self._ends and self._fold.asked is None

    @property
    def ready(self) -> bool:
        """Whether `ask` has something."""
        return self._fold.ready

    @property
    def deadline(self) -> float | None:
        """When `tick` is to be called next, if ever."""
        due = self._deadlines[0][0] if self._deadlines else None
        idle = self._fold.deadline
        return min(due, idle) if due is not None and idle is not None else idle if due is None else due

    def connect(self, peer: Peer, now: float) -> Serving:
        """A client connected; its `connection` number is the key to its end from now on."""
        end = Serving(peer, heartbeat=self._heartbeat, limits=self._limits, now=now)
        self._ends[peer.connection] = end
        if self._fold.stopped:
            end.close(now)
        self._watch(end)
        return end

    def receive(self, connection: int, data: bytes, now: float) -> None:
        """A stream brought these bytes."""
        end = self._ends[connection]
        end.receive(data, now)
        self._advance(end, now)

    def end(self, connection: int, now: float) -> None:
        """A stream ended."""
        end = self._ends[connection]
        end.end()
        self._advance(end, now)

    def drained(self, connection: int, now: float) -> None:
        """Some of a peer's outbox was written."""
        self._advance(self._ends[connection], now)

    def ask(self) -> Ask[C] | None:
        """The next message to ask the handler for."""
        return self._fold.ask()

    def answered(self, continuation: Continuation[C], now: float) -> None:
        """The handler's answer to what was asked."""
        peer = self._fold.asked
        stopped = self._fold.stopped
        if peer is None or not self._fold.answered(continuation, now=now):
            self._close_all(now)
        else:
            end = self._ends.get(peer.connection)
            if end is not None:
                end.reply(continuation, now)
                if stopped:  # it ended while the handler had this message
                    end.close(now)
                self._advance(end, now)
            if self._fold.stopped and not stopped:
                self._close_all(now)

    def failed(self, error: BaseException, now: float) -> None:
        """The handler raised."""
        self._fold.failed(error)
        self._close_all(now)

    def interrupted(self, now: float) -> None:
        """The handler was interrupted: end in good order, without its message."""
        self._fold.interrupted()
        self._close_all(now)

    def shutdown(self, now: float) -> None:
        """End in good order; a message that the handler has now is still answered."""
        self._fold.stop()
        self._close_all(now)

    def tick(self, now: float) -> None:
        """Time passed."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, connection = heappop(self._deadlines)
            end = self._ends.get(connection)
            if end is None:
                continue
            if end.deadline <= now:
                end.overdue(now)
                self._attention[connection] = end
            heappush(self._deadlines, (end.deadline, connection))
        stopped = self._fold.stopped
        self._fold.tick(now)
        if self._fold.stopped and not stopped:
            self._close_all(now)

    def attention(self) -> list[Serving]:
        """The ends that something happened to since the last call."""
        ends = list(self._attention.values())
        self._attention.clear()
        return ends

    def forget(self, connection: int) -> None:
        """The shell closed this connection."""
        self._ends.pop(connection, None)
        self._attention.pop(connection, None)

    def result(self) -> Result[C, HandlerFailed[C]]:
        """The last carry, or how the handler failed."""
        return self._fold.result()

    def _advance(self, end: Serving, now: float) -> None:
        state = end.state
        if not end.waiting and (message := end.next(now)) is not None:
            self._fold.offer(end.peer, message)
        if end.state is not state:
            self._watch(end)
        self._attention[end.peer.connection] = end

    def _close_all(self, now: float) -> None:
        asked = self._fold.asked
        for end in self._ends.values():
            if asked is None or end.peer != asked:
                end.close(now)
                self._watch(end)

    def _watch(self, end: Serving) -> None:
        heappush(self._deadlines, (end.deadline, end.peer.connection))
        self._attention[end.peer.connection] = end
