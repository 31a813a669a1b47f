"""What the server of a run does: it records, responds, tells subscribers, answers late, and counts who leaves."""

from collections.abc import Callable
from random import Random
from typing import Final, final

import attrs

from ipcfold import Continuation, Message, Peer, Ticket
from tests.chaos.note import Deed, Note

_TOLD_EVERY: Final = 100  # The number of messages between two reports.
_LATEST: Final = 0.02  # The largest number of seconds until an alarm answers what is deferred.


@final
@attrs.frozen
class Carry:
    """The folded messages: for each incarnation of a client, the runs `[connection, first number, count]`.

    The handler changes one value in place. A copy for each of a million messages would be too slow, and nothing reads
    an earlier carry.
    """

    runs: dict[str, list[list[int]]] = attrs.field(factory=dict)
    oddities: list[str] = attrs.field(factory=list)
    """Messages that are not whole, or that no client of ours wrote."""
    counts: dict[str, int] = attrs.field(factory=dict)
    """How often the server did something else."""

    def add(self, note: Note) -> None:
        runs = self.runs.setdefault(f"{note.client}.{note.incarnation}", [])
        if runs and runs[-1][0] == note.connection and sum(runs[-1][1:]) == note.number:
            runs[-1][2] += 1
        else:
            runs.append([note.connection, note.number, 1])

    def count(self, what: str, number: int = 1) -> int:
        self.counts[what] = self.counts.get(what, 0) + number
        return self.counts[what]


@final
class Hub:
    """The functions of one server. They share its clients, and change them in place, as they do with the carry."""

    def __init__(self, carry: Carry, tell: Callable[[int], None], random: Random) -> None:
        """`tell` gets the number of messages from time to time."""
        self._tell = tell
        self._random = random
        self._folded = sum(run[2] for runs in carry.runs.values() for run in runs)
        self._subscribers = dict[Peer, None]()
        self._open = list[tuple[Ticket, Note]]()
        self._gone = set[int]()
        self._came = set[int]()
        self._alarm = False
        carry.count("messages published")  # A number of 0 means that a client is no subscriber.

    def handle(self, message: Message, continuation: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        note = Note.of(message)
        if note is None:
            carry.oddities.append(repr(message))
            return continuation
        carry.add(note)
        self._folded += 1
        if self._folded % _TOLD_EVERY == 0:
            self._tell(self._folded)
        self._came.add(continuation.peer.connection)
        if continuation.peer.connection in self._gone:
            carry.oddities.append(f"{note} after its client has left")
        answer = self._answered(note, continuation, carry)
        if self._open and self._random.random() < 0.3:
            answer = self._late(answer, self._random.randrange(len(self._open)))
        if self._open and not self._alarm:
            self._alarm = True
            answer = answer.wake(carry, answer.now + self._random.uniform(0, _LATEST))
        return answer.close(carry) if note.close else answer

    def left(self, peer: Peer, continuation: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        if peer.connection in self._gone:
            carry.oddities.append(f"a second departure of {peer}")
        self._gone.add(peer.connection)
        self._subscribers.pop(peer, None)
        carry.count("departures folded")
        return self._published(continuation, carry) if self._random.random() < 0.1 else continuation

    def woken(self, continuation: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        """Answer everything that is open, in any order."""
        self._alarm = False
        carry.count("alarms")
        while self._open:
            continuation = self._late(continuation, self._random.randrange(len(self._open)))
        return self._published(continuation, carry) if self._random.random() < 0.1 else continuation

    def failure(self) -> str | None:
        """What was wrong with the departures, once the server has ended."""
        missing = set(range(1, max(self._gone, default=0) + 1)) | self._came
        missing -= self._gone
        return f"the connections {sorted(missing)} never left" if missing else None

    def _answered(self, note: Note, continuation: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        match note.deed:
            case Deed.DEFER:
                self._open.append((continuation.ticket, note))
                return continuation.defer(carry)
            case Deed.PUBLISH:
                before = note.responses // 2
                responded = self._responded(note, before, continuation, carry)
                return self._responded(note, note.responses - before, self._published(responded, carry), carry)
            case Deed.SUBSCRIBE:
                self._subscribers[continuation.peer] = None
            case _:
                pass
        return self._responded(note, note.responses, continuation, carry)

    def _responded(self, note: Note, number: int, continuation: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        if not number:
            return continuation
        return continuation.respond(carry, *[self._response(note, continuation.peer, carry)] * number)

    def _published(self, continuation: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        number = carry.count("messages published")
        told = Note(0, 0, 0, 0, deed=Deed.TOLD, published=number).message(bytes(50_000 if self._random.random() < 0.01 else 20))
        for peer in self._subscribers:
            continuation = continuation.tell(carry, peer, told)
        carry.count("messages told", len(self._subscribers))
        return continuation

    def _late(self, continuation: Continuation[Carry], place: int) -> Continuation[Carry]:
        ticket, note = self._open.pop(place)
        carry = continuation.carry
        carry.count("answers that came late")
        return continuation.answer(carry, ticket, *[self._response(note, ticket.peer, carry)] * note.responses)

    def _response(self, note: Note, peer: Peer, carry: Carry) -> Message:
        published = carry.counts["messages published"] if peer in self._subscribers else 0
        return attrs.evolve(note, published=published).message(bytes(note.size))
