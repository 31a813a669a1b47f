"""The replay of a log gives the carry of the servers that wrote it, or says where it differs."""

from collections.abc import Callable
from contextlib import closing

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure

from ipcfold import Came, Continuation, LogCorrupt, LogFailed, LogUnusable, Message, Peer, ReplayDiverged, ReplayInterrupted
from ipcfold.core.functions import Handlers, driven
from ipcfold.handlers import rescue
from ipcfold.limits import Limits
from ipcfold.log import Adopted, Entry, History, MemoryLog, Snapshots, decode
from ipcfold.log.entry import encode
from ipcfold.log.recovery import Recovery
from ipcfold.log.replay import Replay
from ipcfold.testing import Elapse, Kill, Send, Shutdown, Step, scripts
from tests.log.world import HANDLERS, SNAPSHOTS, START, UNREADABLE, WORDS, Carry, LoggedPlayer, handle, left, recover, recovered, woken

LIVES = st.lists(scripts(WORDS), min_size=1, max_size=4)
SOMETIMES = st.none() | st.builds(
    lambda every, history: attrs.evolve(SNAPSHOTS, every=every, history=history), st.integers(1, 9), st.sampled_from(History)
)
ONE, STOP, WRONG = Message.text("plain"), Message.text("stop"), Message.text("wrong")


@given(scripts(WORDS), st.booleans())
def test_the_replay_of_a_log_gives_the_carry_and_the_state_of_the_server(script: list[Step], ended: bool) -> None:  # noqa: FBT001 - drawn
    log = MemoryLog()
    server = LoggedPlayer(log).play([*script, *([Shutdown()] if ended else [])])
    server.crash()
    again, state = recovered(log), server.core.fold.state
    assert state is not None
    assert (again.carry, again.at, again.adopted) == (server.carry, len(log.records), False)
    assert (again.state.time, again.state.alarm, again.state.open) == (state.time, state.alarm, state.open)
    assert set(again.state.peers) <= set(state.peers)  # a client that has said nothing is in no entry


@given(LIVES, SOMETIMES)
def test_servers_after_one_another_go_on_with_one_carry(lives: list[list[Step]], snapshots: Snapshots[Carry] | None) -> None:
    log, carries = MemoryLog(), [START]
    for script in lives:
        server = LoggedPlayer(log, snapshots)
        server.play(script)
        server.crash()
        carries.append(server.carry)
        happened = server.carry[0]
        assert happened[: len(carries[-2][0])] == carries[-2][0]
        assert recovered(log, snapshots=snapshots).carry == server.carry
    if snapshots is None or snapshots.history is History.KEPT:
        assert recovered(log).carry == carries[-1]


@given(scripts(WORDS))
def test_the_clients_of_a_server_that_crashed_have_left_before_the_next_one_folds_anything_else(script: list[Step]) -> None:
    log = MemoryLog()
    first = LoggedPlayer(log).play(script)
    first.crash()
    there = recovered(log).state.peers
    second = LoggedPlayer(log).play([Send("new", ONE)])
    new = [each.split(maxsplit=1)[1] for each in second.carry[0][len(first.carry[0]) :] if "woken" not in each]
    assert new == [*(f"{peer.connection} left" for peer in there), f"{second.core.fold.state.most}.1 plain"]  # type: ignore[union-attr]  # it is between


def changed(different: Callable[[Message], bool], made: Message) -> Handlers[Carry]:
    """The same handler, which answers some messages with one response more."""

    def other(message: Message, continuation: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        answer = handle(message, continuation, carry)
        return answer.respond(answer.carry, made) if different(message) else answer

    return Handlers(other, left, woken)


@given(scripts(WORDS), WORDS)
def test_a_changed_handler_is_noticed_at_the_first_answer_that_differs(script: list[Step], word: Message) -> None:
    log = MemoryLog()
    LoggedPlayer(log).play(script).crash()
    entries = list(map(decode, log.records))
    at = next((at for at, entry in enumerate(entries, 1) if isinstance(entry.what, Came) and entry.what.message == word), None)
    handlers = changed(word.__eq__, ONE)
    journal = log.open().unwrap()
    result = recover(log.place, journal, START, handlers, None, Limits())
    if at is None:
        assert result.unwrap().carry == recover(log.place, journal, START, HANDLERS, None, Limits()).unwrap().carry
        return
    diverged = result.failure()
    assert isinstance(diverged, ReplayDiverged)
    assert (diverged.at, diverged.message, diverged.error) == (at, word, None)
    adopted = recover(log.place, journal, START, handlers, None, Limits(), adopts=True).unwrap()
    assert adopted.adopted


def test_an_adopted_handler_is_checked_from_then_on() -> None:
    log = MemoryLog()
    LoggedPlayer(log).play([Send("ann", ONE)]).crash()
    handlers = changed(ONE.__eq__, STOP)
    journal = log.open().unwrap()
    adopted = recover(log.place, journal, START, handlers, None, Limits(), adopts=True).unwrap()
    assert adopted.adopted
    journal.append(encode(Entry(Adopted(9.0))))
    journal.commit()
    assert not recover(log.place, journal, START, handlers, None, Limits()).unwrap().adopted
    journal.close()
    server = LoggedPlayer(log, handlers=handlers).play([Send("bob", ONE)])
    server.crash()
    assert recovered(log, handlers).carry == server.carry
    journal = log.open().unwrap()
    diverged = recover(log.place, journal, START, HANDLERS, None, Limits()).failure()
    assert isinstance(diverged, ReplayDiverged)
    assert diverged.at > 4


def test_a_handler_that_raises_for_what_it_folded_cannot_be_adopted() -> None:
    log = MemoryLog()
    LoggedPlayer(log).play([Send("ann", ONE), Send("ann", Message.text("never"))]).crash()

    def fails(message: Message, continuation: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        if message.content == b"never":
            raise KeyError(message.content)
        return handle(message, continuation, carry)

    journal = log.open().unwrap()
    diverged = recover(log.place, journal, START, Handlers(fails, left, woken), None, Limits(), adopts=True).failure()
    match diverged:
        case ReplayDiverged(carry=carry, at=3, message=Message(content=b"never"), error=KeyError()):
            assert len(carry[0]) == 1
        case other:
            pytest.fail(f"{other}")
    assert "raises KeyError(b'never') for entry 3" in str(diverged)

    def also_differs(message: Message, continuation: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        return fails(message, continuation, carry).close(carry)

    for adopts, at in ((False, 2), (True, 3)):  # what is accepted is not what keeps it from starting
        refused = recover(log.place, journal, START, Handlers(also_differs, left, woken), None, Limits(), adopts=adopts).failure()
        assert isinstance(refused, ReplayDiverged)
        assert refused.at == at


def test_an_alarm_that_the_handler_did_not_ask_for_is_a_difference() -> None:
    log = MemoryLog()
    LoggedPlayer(log).play([Send("ann", Message.text("in 7")), Elapse(10.0)]).crash()
    for record in log.records:
        entry = decode(record)
        if isinstance(entry.what, Came):
            log.records[log.records.index(record)] = encode(
                attrs.evolve(entry, what=attrs.evolve(entry.what, message=Message.text("never")))
            )
    journal = log.open().unwrap()
    adopted = recover(log.place, journal, START, HANDLERS, None, Limits(), adopts=True).unwrap()
    assert [each for each in adopted.carry[0] if "woken" in each] == []


def test_an_alarm_rings_in_the_next_server() -> None:
    log = MemoryLog()
    LoggedPlayer(log).play([Send("ann", Message.text("in 7"))]).crash()
    server = LoggedPlayer(log).play([Elapse(20.0)])
    assert sum("woken" in each for each in server.carry[0]) == 1


def test_an_alarm_survives_an_orderly_end() -> None:
    log = MemoryLog()
    first = LoggedPlayer(log, SNAPSHOTS).play([Send("ann", Message.text("in 7")), Shutdown()])
    first.recorder.end(3.0, first.core.fold.ending)
    first.crash()
    server = LoggedPlayer(log, SNAPSHOTS).play([Elapse(20.0)])
    assert sum("woken" in each for each in server.carry[0]) == 1


def test_a_server_that_was_stopped_by_its_handler_goes_on() -> None:
    log = MemoryLog()
    LoggedPlayer(log).play([Send("ann", STOP), Elapse(10.0)]).crash()
    server = LoggedPlayer(log).play([Send("bob", ONE)])
    server.crash()
    assert [each.split()[-1] for each in server.carry[0]] == ["stop", "left", "plain"]
    assert recovered(log).carry == server.carry


@pytest.mark.parametrize("broken", [1, 2])
def test_a_snapshot_that_does_not_decode_is_left_out_and_told(broken: int) -> None:
    log, snapshots = MemoryLog(), attrs.evolve(SNAPSHOTS, every=3)
    server = LoggedPlayer(log, snapshots).play([Send("ann", ONE)] * 20)
    server.crash()
    assert len(log.store.snapshots) == 3
    for at, (number, record) in enumerate(log.store.snapshots[-broken:], len(log.store.snapshots) - broken):
        log.store.snapshots[at] = (number, record[:-9] + b"\0" * 8 + record[-1:] if at % 2 else b"\0")
    again = recovered(log, snapshots=snapshots)
    assert again.carry == server.carry
    assert len(again.warnings) == broken
    assert "the snapshot after entry" in again.warnings[0]


def test_a_log_whose_beginning_was_dropped_needs_a_snapshot() -> None:
    log, snapshots = MemoryLog(), attrs.evolve(SNAPSHOTS, every=3, history=History.DROPPED)
    server = LoggedPlayer(log, snapshots).play([Send("ann", ONE)] * 20)
    server.crash()
    assert log.store.first > 0
    assert recovered(log, snapshots=snapshots).carry == server.carry
    journal = log.open().unwrap()
    assert isinstance(recover("it", journal, START, HANDLERS, None, Limits()).failure(), LogFailed)
    match recover("it", journal, START, HANDLERS, None, Limits()):
        case Failure(LogFailed(carry, LogUnusable() as reason)):
            assert (carry, "give the server the snapshots" in str(reason)) == (START, True)
        case other:
            pytest.fail(f"{other}")
    log.store.snapshots = [(at, b"") for at, _ in log.store.snapshots]
    match recover("it", journal, START, HANDLERS, snapshots, Limits()):
        case Failure(LogFailed(_, LogCorrupt() as damage)):
            assert "is damaged" in str(damage)
        case other:
            pytest.fail(f"{other}")


def test_a_snapshot_of_what_the_log_does_not_have_is_damage() -> None:
    log = MemoryLog()
    LoggedPlayer(log, attrs.evolve(SNAPSHOTS, every=3)).play([Send("ann", ONE)] * 5).crash()
    del log.records[2:]
    failed = recover("it", log.open().unwrap(), START, HANDLERS, SNAPSHOTS, Limits()).failure()
    assert isinstance(failed, LogFailed)
    assert isinstance(failed.reason, LogCorrupt)


def test_an_older_form_of_a_snapshot_is_read() -> None:
    log = MemoryLog()
    server = LoggedPlayer(log, SNAPSHOTS).play([Send("ann", ONE), Kill("ann")])
    server.recorder.snapshot()
    server.crash()

    def never(_: bytes) -> Carry:
        raise ValueError("another form")

    newer = attrs.evolve(Snapshots.of(lambda carry: repr(carry).encode(), never), older=(SNAPSHOTS.coder.decode,))
    again = recovered(log, snapshots=newer)
    assert (again.carry, again.kept, again.warnings) == (server.carry, len(log.records), ())


def test_a_damaged_entry_ends_the_replay() -> None:
    log = MemoryLog()
    LoggedPlayer(log).play([Send("ann", ONE)] * 3).crash()
    log.records[2] = log.records[2][:-3]
    failed = recover("it", log.open().unwrap(), START, HANDLERS, None, Limits()).failure()
    assert isinstance(failed, LogFailed)
    match failed.reason:
        case LogCorrupt("it", 2):
            assert len(failed.carry[0]) == 1
        case other:
            pytest.fail(f"{other}")


def test_a_replay_ends_when_it_is_told_so() -> None:
    log = MemoryLog()
    LoggedPlayer(log).play([Send("ann", ONE)] * 3).crash()
    assert recover("it", log.open().unwrap(), START, HANDLERS, None, Limits(), ends=lambda: True).failure() == ReplayInterrupted("it", 1)

    def interrupted(*_: object) -> Continuation[Carry]:
        raise KeyboardInterrupt

    log.store.owned.release()
    ended = recover("it", log.open().unwrap(), START, Handlers(interrupted), None, Limits()).failure()
    assert ended == ReplayInterrupted("it", 2)
    assert "2 entries" in str(ended)


def test_an_answer_that_is_not_valid_ends_the_replay() -> None:
    log = MemoryLog()
    LoggedPlayer(log).play([Send("ann", ONE)]).crash()

    def wrong(message: Message, given: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        return given.tell(carry, Peer(connection=7), ONE)

    for answer in (wrong, lambda *_: None):
        handlers: Handlers[Carry] = Handlers(answer, left, woken)  # type: ignore[arg-type]  # it is what is tested
        with closing(log.open().unwrap()) as journal:
            refused = recover(log.place, journal, START, handlers, None, Limits()).failure()
        assert isinstance(refused, ReplayDiverged)
        assert isinstance(refused.error, TypeError)


def test_entries_can_be_fed_one_by_one() -> None:
    log = MemoryLog()
    carry = LoggedPlayer(log).play([Send("ann", ONE), Send("bob", ONE)]).carry
    replay: Replay[Carry] = Replay("it", START, Limits(), left=True, woken=True)
    assert [replay.feed(decode(record), HANDLERS) for record in log.records] == [None] * 3
    assert replay.carry == carry

    def raising(message: Message, given: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        raise KeyError(message)

    def interrupted(message: Message, given: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        raise KeyboardInterrupt

    replay = Replay("it", START, Limits(), left=True, woken=True)
    replay.feed(decode(log.records[0]), HANDLERS)
    with pytest.raises(KeyboardInterrupt):
        replay.feed(decode(log.records[1]), Handlers(interrupted))
    replay = Replay("it", START, Limits(), left=True, woken=True)
    raised = replay.feed(decode(log.records[1]), Handlers(raising))
    assert raised is not None
    assert isinstance(raised.error, KeyError)


@pytest.mark.parametrize("snapshots", [None, SNAPSHOTS])
def test_a_log_that_cannot_be_read_ends_the_replay(snapshots: Snapshots[Carry] | None) -> None:
    recovery = Recovery("it", START, snapshots, Limits(), left=True, woken=True)
    refused = driven(recovery.follow(UNREADABLE.read().unwrap()), lambda asked: HANDLERS(*asked))
    assert refused == LogFailed(START, UNREADABLE.error)


def test_an_answer_that_was_rescued_is_compared_with_what_was_taken_instead() -> None:
    log = MemoryLog()

    def wrong(message: Message, given: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        return given.tell(carry, Peer(connection=7), ONE) if message == WRONG else handle(message, given, carry)

    handlers = Handlers(rescue(wrong, lambda _: ONE), left, woken)
    server = LoggedPlayer(log, handlers=handlers).play([Send("ann", ONE), Send("ann", WRONG), Send("ann", ONE)])
    server.crash()
    carry = server.carry
    assert recovered(log, handlers).carry == carry
    other = Handlers(rescue(wrong, lambda _: WRONG), left, woken)
    with closing(log.open().unwrap()) as journal:
        refused = recover(log.place, journal, START, other, None, Limits()).failure()
    assert isinstance(refused, ReplayDiverged)
    assert (refused.at, refused.message) == (3, WRONG)
