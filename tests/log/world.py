"""A handler that uses all of a continuation, and servers in memory that have a log."""

import json
from collections.abc import Callable, Iterator
from typing import ClassVar, TypeAlias

import attrs
from hypothesis import strategies as st
from returns.result import Failure, Result, Success

from ipcfold import Continuation, Message, Peer, Ticket
from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.functions import Handlers, driven
from ipcfold.core.server_connection import ServerConnection
from ipcfold.errors import LogEnded, LogError, LogUnusable
from ipcfold.limits import Limits
from ipcfold.log import Log, MemoryLog, Snapshots
from ipcfold.log.journal import Journal, Reading
from ipcfold.log.memory import MemoryReader
from ipcfold.log.recorder import Recorder
from ipcfold.log.recovery import Recovered, Recovery
from ipcfold.testing import Step
from ipcfold.testing.link import Link
from ipcfold.testing.player import ScriptPlayer

Carry: TypeAlias = tuple[tuple[str, ...], tuple[Ticket, ...], tuple[Peer, ...]]
"""What happened, which answers are open, and who has said something."""
START: Carry = ((), (), ())
WORDS = st.sampled_from(["plain", "in 0.25", "in 7", "in -3", "never", "defer", "answer", "all", "close", "stop"]).map(Message.text)


def handle(message: Message, continuation: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
    """Do what the word says, and write it down with its time and its client."""
    happened, open_, there = carry
    peer, word = continuation.peer, message.content.decode()
    happened = (*happened, f"{continuation.now:.3f} {peer.connection}.{continuation.number} {word}")
    there = there if peer in there else (*there, peer)
    carry = happened, open_, there
    note = Message.text(f"{len(happened)}")
    verb, _, argument = word.partition(" ")
    match verb:
        case "in":
            return continuation.respond(carry, note).wake(carry, continuation.now + float(argument))
        case "never":
            return continuation.wake(carry, None)
        case "defer":
            return continuation.defer((happened, (*open_, continuation.ticket), there))
        case "answer" if open_:
            return continuation.answer((happened, open_[1:], there), open_[0], note)
        case "all":
            for each in there:
                continuation = continuation.tell(carry, each, note)
            return continuation.respond(carry, note)
        case "close":
            return continuation.close(carry)
        case "stop":
            return continuation.stop(carry)
        case _:
            return continuation.respond(carry, note)


def left(peer: Peer, continuation: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
    happened, open_, there = carry
    happened = (*happened, f"{continuation.now:.3f} {peer.connection} left")
    carry = happened, open_, tuple(each for each in there if each != peer)
    for each in carry[2]:
        continuation = continuation.tell(carry, each, Message.text(f"{peer.connection} left"))
    return continuation.continue_(carry)


def woken(continuation: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
    happened, open_, there = carry
    carry = (*happened, f"{continuation.now:.3f} woken"), open_, there
    if len(happened) % 3 == 0:
        continuation = continuation.wake(carry, continuation.now + 1)
    return continuation.continue_(carry)


HANDLERS = Handlers(handle, left, woken)
_NEVER = ServerConnection(Peer(), heartbeat=1.0, limits=Limits(), now=0.0)
EARLIER = Link(ClientConnection(heartbeat=1.0, limits=Limits(), now=0.0), _NEVER, server_gone=True)


def _written(carry: Carry) -> bytes:
    happened, open_, there = carry
    tickets = [[ticket.peer.connection, ticket.peer.pid, ticket.peer.uid, ticket.peer.gid, ticket.number, ticket.taken] for ticket in open_]
    return json.dumps([happened, tickets, [[peer.connection, peer.pid, peer.uid, peer.gid] for peer in there]]).encode()


def _read(content: bytes) -> Carry:
    happened, tickets, there = json.loads(content)
    return (
        tuple(happened),
        tuple(Ticket(Peer(*peer), number, taken) for *peer, number, taken in tickets),
        tuple(Peer(*peer) for peer in there),
    )


SNAPSHOTS = Snapshots.of(_written, _read)


def recover(
    place: str,
    journal: Journal,
    carry: Carry,
    handlers: Handlers[Carry],
    snapshots: Snapshots[Carry] | None,
    limits: Limits,
    *,
    adopts: bool = False,
    ends: Callable[[], bool] = lambda: False,
) -> Result[Recovered[Carry], LogEnded[Carry]]:
    left, woken = handlers.left is not None, handlers.woken is not None
    recovery = Recovery(place, carry, snapshots, limits, left=left, woken=woken, adopts=adopts)
    recovery.ends = ends
    return driven(recovery.finish(journal), lambda asked: handlers(*asked))


def recovered(log: MemoryLog, handlers: Handlers[Carry] = HANDLERS, snapshots: Snapshots[Carry] | None = None) -> Recovered[Carry]:
    """What the next server would begin with."""
    journal = log.open().unwrap()
    try:
        return recover(log.place, journal, START, handlers, snapshots, Limits()).unwrap()
    finally:
        journal.close()


class LoggedPlayer:
    """A server in memory with a log. It commits after each step."""

    def __init__(
        self, log: Log, snapshots: Snapshots[Carry] | None = None, handlers: Handlers[Carry] = HANDLERS, *, adopts: bool = False
    ) -> None:
        self.journal: Journal = log.open().unwrap()
        before = recover(log.place, self.journal, START, handlers, snapshots, Limits(), adopts=adopts).unwrap()
        self.player = ScriptPlayer(handlers.handler, START, left=handlers.left, woken=handlers.woken, epoch=before.state.time + 1)
        network = self.player._network  # noqa: SLF001 - the servers of the kit have no log
        for number in range(1, before.state.most + 1):  # clients of earlier servers, whose numbers nobody gets again
            self.player._numbers[f"earlier {number}"] = number  # noqa: SLF001 - as above
            self.player._names[number] = f"earlier {number}"  # noqa: SLF001 - as above
            network.links[number] = EARLIER
        self.core = network.core
        self.core.fold.restore(before.carry, before.state)
        self.recorder = Recorder(self.journal, self.core.fold, snapshots, before)
        self.core.log(self.recorder.record, 0.0)
        self.recorder.begin(before.state.time + 1, adopted=before.adopted)
        self.commit()
        if before.adopted:
            self.recorder.snapshot()

    def commit(self) -> LogError | None:
        error = self.recorder.commit()
        if error is None:
            self.core.committed()
            if self.recorder.due:
                self.recorder.snapshot()
        return error

    def play(self, script: list[Step]) -> "LoggedPlayer":
        for step in script:
            self.player.play(step)
            self.commit()
        return self

    @property
    def carry(self) -> Carry:
        return self.player.carry

    def crash(self) -> None:
        """End without a word; the log has what was committed."""
        self.journal.close()


class Unreadable(MemoryReader):
    """Reads of a disk that fails."""

    def replay(self, after: int) -> Iterator[Result[tuple[bytes, ...], LogError]]:
        yield Failure(UnreadableLog.error)

    def snapshots(self) -> Result[tuple[tuple[int, bytes], ...], LogError]:
        return Failure(UnreadableLog.error)


@attrs.define
class UnreadableLog:
    """A log on a disk that fails."""

    error: ClassVar[LogError] = LogUnusable("it", "an error of the disk")
    place: str = "it"
    adopts: bool = False

    def open(self) -> Result[Journal, LogError]:
        return Failure(self.error)

    def read(self) -> Result[Reading, LogError]:
        return Success(Unreadable(MemoryLog().store))

    def adopting(self) -> "UnreadableLog":
        return self


UNREADABLE = UnreadableLog()
