"""Logs are inputs for tests: of `fold`, of `simulate`, and of another handler."""

from contextlib import closing

from hypothesis import given
from returns.result import Failure

from ipcfold import Came, Continuation, LogCorrupt, LogFailed, LogUnusable, Message, Peer, ReplayDiverged, fold
from ipcfold.core.functions import Handlers
from ipcfold.log import MemoryLog, Snapshots
from ipcfold.testing import Send, Step, inputs, recorded, replayed, scripts, simulate
from tests.log.world import START, UNREADABLE, WORDS, Carry, LoggedPlayer, handle, left, woken

ONE = Message.text("one")


def count(_: Message, given_: Continuation[int], carry: int) -> Continuation[int]:
    return given_.respond(carry + 1, ONE)


@given(scripts(WORDS))
def test_the_fold_of_what_is_in_a_log_gives_the_carry(script: list[Step]) -> None:
    log = MemoryLog()
    server = LoggedPlayer(log).play(script)
    server.crash()
    assert replayed(handle, log, START, left=left, woken=woken).unwrap() == server.carry
    folded = fold(handle, START, inputs(log).unwrap(), left=left, woken=woken).unwrap()
    assert folded.carry == server.carry


@given(scripts(WORDS.filter(lambda word: word.content in (b"plain", b"all", b"defer", b"answer"))))
def test_a_log_is_a_script_for_a_simulation(script: list[Step]) -> None:
    log = MemoryLog()
    server = LoggedPlayer(log).play(script)
    server.crash()
    again = simulate(handle, START, recorded(log).unwrap(), left=left, woken=woken, epoch=1.0)
    said = [message.content for _, message in spoken(log)]
    assert sorted(said) == sorted(message.content for client in again.clients.values() for message in client.sent)


@given(scripts(WORDS.filter(lambda word: word.content != b"stop")))
def test_a_simulation_of_a_log_rings_the_same_alarms(script: list[Step]) -> None:
    log = MemoryLog()
    server = LoggedPlayer(log).play(script)
    server.crash()
    known = inputs(log).unwrap()
    again = simulate(handle, START, recorded(log).unwrap(), left=left, woken=woken, epoch=known[0].now if known else 0.0)
    done = [happened(line) for line in again.result.unwrap()[0]]
    assert done[: len(known)] == [happened(line) for line in server.carry[0]]  # clients whose departure is not in the log leave at the end


def happened(line: str) -> str:
    """What happened, whenever that was and whoever did it: the connections have other numbers."""
    return line.split(" ", 2)[-1] if "woken" not in line else "woken"


def spoken(log: MemoryLog) -> list[tuple[Peer, Message]]:
    return [(each.peer, each.message) for each in inputs(log).unwrap() if isinstance(each, Came)]


def test_a_replay_with_another_handler_gives_the_first_difference() -> None:
    log = MemoryLog()
    LoggedPlayer(log, handlers=Handlers(handle, left, woken)).play([Send("ann", ONE), Send("ann", ONE)]).crash()

    def other(message: Message, given_: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        return handle(message, given_, carry).close(carry) if carry[0] else handle(message, given_, carry)

    differs = replayed(other, log, START, left=left, woken=woken).failure()
    assert isinstance(differs, ReplayDiverged)
    assert differs.at == 3


def test_a_log_that_cannot_be_read_is_told() -> None:
    failure: Failure[LogUnusable] = Failure(LogUnusable("it", "gone"))
    assert replayed(count, failure, 7) == Failure(LogFailed(7, failure.failure()))
    assert inputs(failure) == recorded(failure) == failure
    assert inputs(UNREADABLE) == Failure(UNREADABLE.error)
    assert replayed(count, UNREADABLE, 7) == Failure(LogFailed(7, UNREADABLE.error))
    log = MemoryLog()
    with closing(log.open().unwrap()) as journal:
        journal.append(b"?")
        journal.commit()
    assert isinstance(inputs(log).failure(), LogCorrupt)
    assert isinstance(replayed(count, log, 7, snapshots=Snapshots.of(repr, int)).failure(), LogFailed)  # type: ignore[arg-type]  # unused
