"""Joins many connections and one fold: events go in, and each turn gives one answer.

A shell gives each connection its events, calls the handler with the message of a turn, and gives the answer to `answered`.
After events it takes a `turn`. A turn names the connections to look after, and the time of the next turn. The cost of a
message does not depend on the number of connections.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from math import inf
from typing import Final, Generic, TypeAlias, TypeVar, final

from returns.result import Result

from ipcfold.continuation import Continuation
from ipcfold.core.buffers import Memory, fresh
from ipcfold.core.deadlines import Deadlines
from ipcfold.core.fold import Ask, Fold, Record
from ipcfold.core.judgement import Sent
from ipcfold.core.server_connection import ServerConnection, Shared
from ipcfold.core.wire import Encoder
from ipcfold.errors import HandlerFailed
from ipcfold.events import Connected, Disconnected, Ending, Listening, Refused, Reported
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.peer import NOBODY, Name, Peer

C = TypeVar("C")

_TICKED: Final = 256  # connections at most whose deadlines one turn handles, so that many of them delay no message
_EARLY: Final = 1 / 32  # of the period: so much earlier a heartbeat leaves together with others, because a turn of its own costs more
_NONE: Final = ()
_NO_MEMORY: Final = "there is no memory left for what it sends"
_ENDED_AT_ONCE: Final = "the server ended at once"


Turn: TypeAlias = tuple[Ask[C] | None, tuple[ServerConnection, ...], float]
"""The next actions of the shell. It is a plain tuple for speed: each message makes two.

- The message to ask the handler for, if there is one. It stays the same until it is answered.
- The connections to look after: write their outbox, read if they are `reading`, close those that are `over`.
- When the next turn is due, even without an event.
"""


@final
class ServerCore(Generic[C]):
    """A whole server, without its sockets."""

    __slots__ = (
        "_accounted",
        "_attention",
        "_behind",
        "_deadlines",
        "_early",
        "_encoder",
        "_ends",
        "_extend",
        "_fold",
        "_heartbeat",
        "_limits",
        "_name",
        "_others",
        "_unsure",
        "_user",
        "accepting",
        "events",
        "shared",
        "waiting",
    )

    def __init__(
        self,
        carry: C,
        *,
        name: Name,
        heartbeat: float,
        limits: Limits,
        timeout: float | None,
        now: float,
        user: int | None = None,
        observed: bool = False,
        left: bool = False,
        woken: bool = False,
        timeless: bool = False,
        memory: Memory = fresh,
    ) -> None:
        """`user`: the user of the server; the connections of every other user are counted. `observed`: whether to report each fold.

        `left`, `woken`: whether to ask for departures and alarms. `timeless`: see `Fold`. `memory` gives memory for large contents.
        """
        self.accepting = True
        """Whether the server accepts connections."""
        self.shared = Shared(memory)
        """The values that the connections share."""
        self.events = deque[Reported]()
        """The events that the shell has not reported yet."""
        self._name = name
        self._user = user
        self._others = Counter[int]()
        self._encoder = Encoder(limits)
        self._fold = Fold(
            carry,
            name=name,
            timeout=timeout,
            prepare=self._encoder.encode,
            mark=self._encoder.marked,
            now=now,
            report=self.events.append,
            observed=observed,
            left=left,
            woken=woken,
            timeless=timeless,
        )
        self.waiting = self._fold.waiting
        """The inputs that the handler is not asked for yet."""
        self._heartbeat = heartbeat
        self._limits = limits
        self._accounted = now  # until when the paused time is counted
        self._ends: dict[int, ServerConnection] = {}
        self._attention: dict[int, ServerConnection] = {}
        self._behind: dict[int, ServerConnection] = {}
        self._deadlines = Deadlines()
        self._early = _EARLY * heartbeat
        self._extend: Callable[[bytes, int], object] = lambda _, __: None
        self._unsure: dict[int, tuple[ServerConnection, int]] | None = (
            None  # with a log: who has got what is not committed, and behind what
        )

    @property
    def over(self) -> bool:
        """Whether the fold has ended and every connection is gone."""
        return self._fold.stopped and not self._ends and self._fold.asked is None and not self._fold.waiting

    def clock(self, offset: float) -> None:
        """See `Fold.clock`."""
        self._fold.clock(offset)

    @property
    def fold(self) -> Fold[C, list[bytes]]:
        """Its fold."""
        return self._fold

    def log(self, record: Record[C], now: float, extend: Callable[[bytes, int], object] = lambda _, __: None) -> None:
        """Fold with a log, whose carry the fold has. `record` gets each input that is folded. See `Fold.begin`.

        `extend` gets records that the accelerator has made, as bytes, and their number.

        The shell writes nothing that was added since the last call of `committed`.
        """
        self._unsure, self._extend = {}, extend
        self._fold.begin(now, record)

    def hold(self, end: ServerConnection, data: bytes, records: bytes, count: int) -> None:
        """Write these bytes to this client once the log has what they tell of: so many records."""
        if count:
            self._extend(records, count)
        self._mark(end)
        end.owe(data)

    def _mark(self, end: ServerConnection) -> None:
        """Note what this client gets from now on: with a log it is not sure yet."""
        if self._unsure is not None:
            self._unsure.setdefault(end.peer.connection, (end, end.outbox.size))

    def committed(self) -> None:
        """Note that the log has all that was recorded."""
        if self._unsure:
            self._unsure.clear()

    def unlogged(self, carry: C, now: float) -> None:
        """End in good order with this carry, because the log takes no more. Drop what answers to later messages would tell."""
        for end, size in (self._unsure or {}).values():
            end.revoke(size)
        self._unsure = {}
        self._fold.unlogged(carry)
        self._close_all(now)

    @property
    def scheduled(self) -> int:
        """The number of deadlines of connections, with the outdated ones."""
        return self._deadlines.count

    def turn(self, now: float, heard: float) -> Turn[C]:
        """Handle the events until now. `heard`: when the shell last read all bytes that had arrived.

        No client is late for what arrives after that, and the time since then counts for no incomplete frame.
        """
        fold, shared = self._fold, self.shared
        if heard < now:
            accounted = self._accounted
            shared.paused += now - (heard if heard > accounted else accounted)  # noqa: FURB136 - to call `max` costs more
        self._accounted = now
        changed = shared.changed
        if self._behind:
            changed = [*self._behind.values(), *changed]
            self._behind.clear()
        if changed:
            shared.changed = []
            for end in changed:
                end.told = False
                try:
                    message = None if end.waiting else end.next(now)
                except MemoryError:  # drop only this client
                    end.abort(_NO_MEMORY, now)
                    message = None
                self._offer(end, message)
        due, beaten = self._deadlines.next, None
        if fold.deadline <= heard or due <= heard:
            beaten = self._tick(heard)
            due = self._deadlines.next
            if due <= heard:
                due = -inf  # more than one turn handles
        if fold.asked is None and fold.deadline < due:
            due = fold.deadline
        if fold.rings < due:  # noqa: PLR1730 - to call `min` costs more
            due = fold.rings
        if self._attention or beaten:
            attention = (*self._attention.values(), *(beaten or _NONE))
            self._attention.clear()
        else:
            attention = _NONE
        ask = fold.ask(now) if fold.waiting or fold.asked is not None or now >= fold.rings else None
        return ask, attention, -inf if self._behind or ask is not None else due

    @property
    def idle(self) -> bool:
        """Whether a turn before the next deadline would change nothing."""
        fold = self._fold
        return not (
            self.shared.changed or self._attention or self._behind or self.events or fold.waiting or fold.asked is not None or fold.stopped
        )

    @property
    def due(self) -> float:
        """When the next turn is due while the handler is still working, even without an event."""
        return -inf if self._behind else self._deadlines.next

    def listening(self) -> None:
        """Note that clients can connect."""
        self.events.append(Listening(self._name))

    def connect(self, peer: Peer, now: float) -> ServerConnection | None:
        """Add a client, unless a limit forbids that. From now on its `connection` number is the key of its connection."""
        if len(self._ends) >= self._limits.connections:
            self.refuse(peer, f"there are {len(self._ends)} already (limits.connections)")
            return None
        if self._others[peer.uid] >= self._limits.connections_per_user:
            self.refuse(peer, f"its user has {self._others[peer.uid]} already (limits.connections_per_user)")
            return None
        end = ServerConnection(peer, heartbeat=self._heartbeat, limits=self._limits, now=now, shared=self.shared)
        self._ends[peer.connection] = end
        if peer.uid != self._user:
            self._others[peer.uid] += 1
        if self._fold.stopped:
            end.close(now)
            end.drain(now)
        self._watch(end)
        self._attention[peer.connection] = end
        self._fold.join(peer)
        self.events.append(Connected(self._name, peer))
        return end

    def greeted(self) -> ServerConnection:
        """A pattern of a connection whose greeting is written. The accelerator copies it for each client."""
        end = ServerConnection(NOBODY, heartbeat=self._heartbeat, limits=self._limits, now=-inf, shared=self.shared)
        end.outbox.sent(end.outbox.size)
        end.moved = False
        return end

    def refuse(self, peer: Peer, reason: str) -> None:
        """Note that a client may not connect."""
        self.events.append(Refused(self._name, peer, reason))

    def disconnect(self, end: ServerConnection) -> None:
        """Remove a connection that the shell has closed."""
        connection = end.peer.connection
        if self._ends.pop(connection, None) is None:
            return
        if end.peer.uid != self._user:
            self._others[end.peer.uid] -= 1
        end.free()  # the deadlines may keep it for a while
        end.due = -inf
        self._attention.pop(connection, None)
        self._behind.pop(connection, None)
        if end.told:
            self.shared.changed.remove(end)
        self.events.append(Disconnected(self._name, end.peer, end.departure, end.fault))
        self._fold.depart(end.peer)

    def answered(self, continuation: Continuation[C], now: float, since: float) -> Ask[C] | None:
        """Take the handler's answer, which was called at `since`. Returns the next message to ask the handler for, if there is one."""
        fold = self._fold
        asked = fold.asked
        responses = fold.answered(continuation, now, since)
        if fold.instead is not None:
            continuation = fold.instead
        told = fold.sent
        if told and responses is not None and asked is not None:
            fold.sent = []
            responses = [*responses, *self._send(told, asked[1].peer, now)]
        if responses is not None and asked is not None and (end := self._ends.get(asked[1].peer.connection)) is not None:
            self._mark(end)
            try:
                message = end.reply(responses, continuation.outcome, now)
            except MemoryError:  # drop only this client
                end.abort(_NO_MEMORY, now)
                message = None
            self._offer(end, message)
        if fold.stopped:
            if self.accepting:
                self._close_all(now)
            elif asked is not None and (end := self._ends.get(asked[1].peer.connection)) is not None:  # also after a wrong answer
                self._finish(end, now)
        if told:
            return None  # the next turn writes what the others are told, before they are told more
        return fold.ask(now) if fold.waiting or now >= fold.rings else None

    def _send(self, told: list[Sent[list[bytes]]], asked: Peer, now: float) -> list[bytes]:
        """Send these frames. Returns those that the client gets with the acknowledgement of its message."""
        own: list[bytes] = []
        for peer, frames, late in told:
            end = self._ends.get(peer.connection)
            if peer == asked:
                own += frames
            elif end is not None:
                self._mark(end)
                try:
                    end.tell(frames, self._limits.unsent + (self._limits.message if late else 0), now)
                except MemoryError:  # drop only this client
                    end.abort(_NO_MEMORY, now)
                self._offer(end, None)
        return own

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
        self._fold.stop(Ending.SIGNALLED)
        self._close_all(now)

    def broken(self, ending: Ending) -> None:
        """Note that the shell has closed everything at once."""
        self.accepting = False
        self._fold.stop(ending)
        for end in tuple(self._ends.values()):
            if not end.over:
                end.fault = end.fault or _ENDED_AT_ONCE
            self.disconnect(end)
        self._fold.ask()  # without `left` there is none, and nothing waits any more

    def ask(self, now: float) -> Ask[C] | None:
        """See `Fold.ask`."""
        return self._fold.ask(now)

    def result(self) -> Result[C, HandlerFailed[C]]:
        """The last carry, or the failure of the handler."""
        return self._fold.result()

    @property
    def instead(self) -> Continuation[C] | None:
        """What was taken instead of the last answer, if that was wrong and rescued."""
        return self._fold.instead

    @property
    def failure(self) -> HandlerFailed[C] | None:
        """The failure of the handler, if it has failed."""
        return self._fold.failure

    def _offer(self, end: ServerConnection, message: Message | None) -> None:
        """Offer the message to the fold, and note what else has changed for this connection."""
        if message is not None:
            self._fold.waiting.append((end.peer, message, end.number))
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
        for end in self._ends.values():
            if asked is None or end.peer != asked[1].peer:
                self._finish(end, now)

    def _finish(self, end: ServerConnection, now: float) -> None:
        """Ask the client to close, because the server ends."""
        end.close(now)
        end.drain(now)
        self._watch(end)
        self._attention[end.peer.connection] = end

    def _tick(self, now: float) -> list[ServerConnection]:
        """Handle the deadlines that have passed. Returns the connections with a heartbeat to write, which is due now or soon."""
        soon, deadlines = now + self._early, self._deadlines
        beaten = list[ServerConnection]()
        for end in deadlines.take(soon, _TICKED):
            if end.beat(soon, now):
                beaten.append(end)
                continue
            if end.deadline <= now:
                end.overdue(now)
                self._attention[end.peer.connection] = end
            deadlines.put(end, end.deadline)
        if beaten:
            deadlines.put_all(beaten, beaten[0].deadline)
        self._fold.tick(now)
        if self._fold.stopped and self.accepting:
            self._close_all(now)
        return beaten

    def _watch(self, end: ServerConnection, early: float = inf) -> None:
        """Note the deadline of this connection, or an earlier time to look at it, which then serves for a later deadline, too."""
        self._deadlines.put(end, min(end.deadline, early))
        self._deadlines.tidy(self._ends.values(), len(self._ends))
