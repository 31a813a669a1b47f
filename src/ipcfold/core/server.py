"""Joins many connections and one fold: events of connections go in, messages for the handler and work on sockets come out.

The shell reports events, calls the handler with what `ask` gives, and then works on the connections in `attention()`: it
writes their outbox, reads if they are `reading`, and closes those that are over. Time is an event (`tick`), and
`deadline` says when the next one is due. The cost of a message does not depend on the number of connections.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar, final

from returns.result import Result

from ipcfold.continuation import Continuation
from ipcfold.core.fold import Ask, Fold
from ipcfold.core.frame import Encoder
from ipcfold.core.server_connection import PausedTime, ServerConnection
from ipcfold.errors import HandlerFailed
from ipcfold.limits import Limits
from ipcfold.peer import Peer

C = TypeVar("C")

_SPARE: Final = 64  # outdated entries of the heap, in addition to one a connection, before it is built again


@final
class ServerCore(Generic[C]):
    """A whole server, without its sockets."""

    __slots__ = (
        "_attention",
        "_behind",
        "_deadlines",
        "_due",
        "_ends",
        "_fold",
        "_heartbeat",
        "_limits",
        "_others",
        "_paused",
        "_user",
        "accepting",
        "ask",
    )

    def __init__(self, carry: C, *, heartbeat: float, limits: Limits, timeout: float | None, now: float, user: int | None = None) -> None:
        """`user`: the user of the server; the connections of every other user are counted."""
        self.accepting = True
        """Whether the server accepts connections."""
        self._user = user
        self._others = Counter[int]()
        self._paused = PausedTime()
        self._fold = Fold(carry, timeout=timeout, prepare=Encoder(limits).encode, now=now)
        self.ask: Callable[[], Ask[C] | None] = self._fold.ask
        """The next message to ask the handler for."""
        self._heartbeat = heartbeat
        self._limits = limits
        self._ends: dict[int, ServerConnection] = {}
        self._attention: dict[int, ServerConnection] = {}
        self._behind = dict[int, ServerConnection]()
        # One deadline a connection. It may be too early, because every message moves the real one. It is corrected when
        # it is due, rather than for every message. The heap may hold outdated entries.
        self._due: dict[int, float] = {}
        self._deadlines: list[tuple[float, int]] = []

    def refusal(self, peer: Peer) -> str:
        """Why a limit forbids one more connection of this peer; empty if none does."""
        if len(self._ends) >= self._limits.connections:
            return f"there are {len(self._ends)} already (limits.connections)"
        if self._others[peer.uid] >= self._limits.connections_per_user:
            return f"its user has {self._others[peer.uid]} already (limits.connections_per_user)"
        return ""

    @property
    def over(self) -> bool:
        """Whether the fold has ended and every connection is gone."""
        return self._fold.stopped and not self._ends and self._fold.asked is None

    @property
    def ready(self) -> bool:
        """Whether `ask` has something, or `resume`."""
        return bool(self._behind) or self._fold.ready

    @property
    def owing(self) -> bool:
        """Whether `attention` has something."""
        return bool(self._attention)

    @property
    def scheduled(self) -> int:
        """The number of entries in the heap of deadlines, with the outdated ones."""
        return len(self._deadlines)

    @property
    def deadline(self) -> float | None:
        """When to call `tick` next, if ever."""
        due = self._deadlines[0][0] if self._deadlines else None
        idle = self._fold.deadline
        return min(due, idle) if due is not None and idle is not None else idle if due is None else due

    def connect(self, peer: Peer, now: float) -> ServerConnection:
        """Add a client. From now on its `connection` number is the key of its connection."""
        end = ServerConnection(peer, heartbeat=self._heartbeat, limits=self._limits, now=now, paused=self._paused)
        self._ends[peer.connection] = end
        if peer.uid != self._user:
            self._others[peer.uid] += 1
        if self._fold.stopped:
            end.close(now)
            end.drain(now)
        self._watch(end)
        self._attention[peer.connection] = end
        return end

    def receive(self, connection: int, data: bytes, now: float) -> None:
        """Take these bytes of a stream."""
        end = self._ends[connection]
        end.receive(data, now)
        self._advance(end, now)

    def filled(self, connection: int, count: int, now: float) -> None:
        """Note that so many bytes of a stream were read into the room of its connection."""
        end = self._ends[connection]
        end.filled(count, now)
        self._advance(end, now)

    def end(self, connection: int, now: float) -> None:
        """Note the end of a stream."""
        end = self._ends[connection]
        end.end()
        self._advance(end, now)

    def wrote(self, connection: int, now: float) -> None:
        """Note that a part of a peer's outbox was written."""
        end = self._ends[connection]
        end.wrote(now)
        self._advance(end, now)

    def resume(self, now: float) -> None:
        """Continue with the connections that have undecoded bytes, a bounded number of frames each."""
        if not self._behind:
            return
        behind = list(self._behind.values())
        self._behind.clear()
        for end in behind:
            self._advance(end, now)

    def answered(self, continuation: Continuation[C], now: float) -> None:
        """Take the handler's answer."""
        fold = self._fold
        asked = fold.asked
        if asked is None:  # the handler was interrupted meanwhile
            return
        responses = fold.answered(continuation, now)
        if responses is not None and (end := self._ends.get(asked[1].peer.connection)) is not None:
            end.reply(responses, continuation.outcome, now)
            self._advance(end, now)
        if fold.stopped:
            self._close_all(now)

    def failed(self, error: BaseException, now: float) -> None:
        """Note that the handler raised this."""
        self._fold.failed(error)
        self._close_all(now)

    def interrupted(self, now: float) -> None:
        """End in good order without the message that the handler had when it was interrupted."""
        self._fold.interrupted()
        self._close_all(now)

    def shutdown(self, now: float) -> None:
        """End in good order. The message that the handler has now is still answered."""
        self._fold.stop()
        self._close_all(now)

    def absent(self, seconds: float) -> None:
        """Note that the shell did not read its sockets for so many seconds. No incomplete frame is late because of that."""
        self._paused.seconds += seconds

    def tick(self, now: float) -> None:
        """Handle the deadlines that have passed."""
        passed = list[tuple[float, int]]()  # all of them first, because with tiny limits a new deadline may be due at once
        while self._deadlines and self._deadlines[0][0] <= now:
            passed.append(heappop(self._deadlines))
        for due, connection in passed:
            if self._due.get(connection) != due:
                continue  # an earlier one has replaced it, or the connection is gone
            end = self._ends[connection]
            if end.deadline <= now:
                end.overdue(now)
                self._attention[connection] = end
            del self._due[connection]
            self._watch(end)
        stopped = self._fold.stopped
        self._fold.tick(now)
        if self._fold.stopped and not stopped:
            self._close_all(now)

    def attention(self) -> list[ServerConnection]:
        """The connections that have changed since the last call."""
        if not self._attention:
            return []
        ends = list(self._attention.values())
        self._attention.clear()
        return ends

    def forget(self, connection: int) -> None:
        """Remove a connection that the shell has closed."""
        end = self._ends.pop(connection, None)
        if end is not None and end.peer.uid != self._user:
            self._others[end.peer.uid] -= 1
        self._due.pop(connection, None)
        self._attention.pop(connection, None)
        self._behind.pop(connection, None)

    def result(self) -> Result[C, HandlerFailed[C]]:
        """The last carry, or the failure of the handler."""
        return self._fold.result()

    def _advance(self, end: ServerConnection, now: float) -> None:
        if not end.waiting:
            message = end.next(now)
            if message is not None:
                self._fold.offer(end.peer, message)
            elif end.behind:
                self._behind[end.peer.connection] = end
        if end.moved:
            end.moved = False
            self._watch(end)
        if end.outbox.size or not end.hearing:
            self._attention[end.peer.connection] = end

    def _close_all(self, now: float) -> None:
        self.accepting = False
        asked = self._fold.asked
        for connection, end in self._ends.items():
            if asked is None or end.peer != asked[1].peer:
                end.close(now)
                end.drain(now)
                self._watch(end)
                self._attention[connection] = end

    def _watch(self, end: ServerConnection) -> None:
        """Put the deadline of this connection on the heap, unless an earlier one is there."""
        connection, deadline = end.peer.connection, end.deadline
        scheduled = self._due.get(connection)
        if scheduled is not None and scheduled <= deadline:
            return
        self._due[connection] = deadline
        heappush(self._deadlines, (deadline, connection))
        if len(self._deadlines) > 2 * len(self._due) + _SPARE:
            self._deadlines = [(due, each) for each, due in self._due.items()]
            heapify(self._deadlines)
