"""A carry that is another one than that of a snapshot is noticed, and so is a handler that is another one than the adopted one."""

import pickle
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.maybe import Maybe, Nothing, Some
from returns.result import Result, Success

from ipcfold import Came, Continuation, Message, ReplayDiverged, Woken
from ipcfold.core.functions import Handlers, driven
from ipcfold.errors import LogEnded, LogError
from ipcfold.limits import Limits
from ipcfold.log import Adopted, Entry, History, MemoryLog, Reading, Snapshots, SQLiteLog, decode
from ipcfold.log.entry import encode
from ipcfold.log.recovery import Recovery
from ipcfold.testing import Kill, Send, Shutdown, Step, replayed, scripts
from tests.log.world import HANDLERS, SNAPSHOTS, START, WORDS, Carry, LoggedPlayer, handle, left, recover, recovered, woken

LIVES = st.lists(scripts(WORDS), min_size=1, max_size=3)
KEPT = st.builds(lambda every, history: attrs.evolve(SNAPSHOTS, every=every, history=history), st.integers(1, 9), st.sampled_from(History))
ONE, TWO, STOP = Message.text("plain"), Message.text("two"), Message.text("stop")


def carrying(word: Message) -> Handlers[Carry]:
    """The same handler, which answers all the same, and carries something else after this word."""

    def other(message: Message, given: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        answer = handle(message, given, carry)
        happened, open_, there = answer.carry
        return attrs.evolve(answer, carry=((*happened[:-1], "something else"), open_, there)) if message == word else answer

    return Handlers(other, left, woken)


def answering(word: Message, made: Message) -> Handlers[Carry]:
    """The same handler, which answers this word with one response more."""

    def other(message: Message, given: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        answer = handle(message, given, carry)
        return answer.respond(answer.carry, made) if message == word else answer

    return Handlers(other, left, woken)


def again(log: MemoryLog, snapshots: Snapshots[Carry], handlers: Handlers[Carry]) -> Result[Carry, LogEnded[Carry]]:
    return replayed(handlers.handler, log, START, left=handlers.left, woken=handlers.woken, snapshots=snapshots)


def places(log: MemoryLog, word: Message) -> list[int]:
    """The numbers of the entries with this message, of those that are kept."""
    whats = [decode(record).what for record in log.records]
    return [at for at, what in enumerate(whats, log.store.first + 1) if isinstance(what, Came) and what.message == word]


def lived(log: MemoryLog, snapshots: Snapshots[Carry], lives: list[list[Step]], *, ended: bool = False) -> Carry:
    """The carry after these lives of a server."""
    for script in lives:
        server = LoggedPlayer(log, snapshots).play([*script, *([Shutdown()] if ended else [])])
        if ended:
            server.recorder.end(server.core.fold.began, server.core.fold.ending)
        server.crash()
    return server.carry


@given(LIVES, KEPT, st.booleans(), st.sets(st.integers(0, 2), max_size=2))
def test_a_replay_gives_the_carry_whichever_snapshots_are_damaged(
    lives: list[list[Step]],
    snapshots: Snapshots[Carry],
    ended: bool,  # noqa: FBT001 - drawn
    damaged: set[int],
) -> None:
    log = MemoryLog()
    carry = lived(log, snapshots, lives, ended=ended)
    kept = log.store.snapshots
    whole = snapshots.history is History.KEPT
    log.store.snapshots = [
        (at, b"?" if number in damaged and (whole or number != len(kept) - 1) else record) for number, (at, record) in enumerate(kept)
    ]
    assert recovered(log, snapshots=snapshots).carry == carry
    assert again(log, snapshots, HANDLERS) == Success(carry)


@given(LIVES, KEPT, st.booleans(), WORDS)
def test_a_handler_that_carries_something_else_is_noticed_at_the_first_snapshot_behind(
    lives: list[list[Step]],
    snapshots: Snapshots[Carry],
    ended: bool,  # noqa: FBT001 - drawn
    word: Message,
) -> None:
    log = MemoryLog()
    lived(log, snapshots, lives, ended=ended)
    kept, folded = [at for at, _ in log.store.snapshots], places(log, word)
    begun = min(kept) if log.store.first else 0
    behind = [at for at in kept if any(begun < each <= at for each in folded)]
    result = again(log, snapshots, carrying(word))
    if not behind:
        assert isinstance(result, Success)
        return
    diverged = result.failure()
    assert isinstance(diverged, ReplayDiverged)
    assert (diverged.part, diverged.at) == ("carry", min(behind))
    assert "something else" not in diverged.carry[0]
    assert f"another carry up to entry {min(behind)} " in str(diverged)


def test_a_replay_begins_as_far_back_as_the_log_goes() -> None:
    log, snapshots = MemoryLog(), attrs.evolve(SNAPSHOTS, every=3)
    server = LoggedPlayer(log, snapshots).play([Send("ann", message) for message in [TWO] + [ONE] * 5])
    server.crash()
    begun: Carry = (("something else",), (), ())
    result = replayed(handle, log, begun, left=left, woken=woken, snapshots=snapshots)
    assert result == Success(server.carry)  # that with which the log began counts
    for record in (log.store.snapshots[0][1], b"?"):
        log.store.snapshots[0] = 0, record
        diverged = again(log, snapshots, carrying(TWO)).failure()
        assert isinstance(diverged, ReplayDiverged)
        assert diverged.at == log.store.snapshots[1][0]
    log.store.snapshots = [(0, b"?")]
    assert again(log, snapshots, HANDLERS) == Success(server.carry)


def following(log: Reading, snapshots: Snapshots[Carry] | None, handlers: Handlers[Carry]) -> Callable[[], LogEnded[Carry] | None]:
    """Folds what the log has got since the last call."""
    recovery = Recovery("it", START, snapshots, Limits(), left=True, woken=True)
    return lambda: driven(recovery.follow(log), lambda asked: handlers(*asked))


@given(scripts(WORDS), KEPT, WORDS)
def test_a_server_that_follows_a_log_compares_its_carry_with_each_snapshot(
    script: list[Step], snapshots: Snapshots[Carry], word: Message
) -> None:
    log, taken = MemoryLog(), set[int]()
    server = LoggedPlayer(log, snapshots)
    with closing(log.read().unwrap()) as reader:
        same, other = following(reader, snapshots, HANDLERS), following(reader, snapshots, carrying(word))
        assert (same(), other()) == (None, None)
        for step in [*script, Send("ann", word)]:
            server.play([step])
            refused = other()
            assert same() is None
            taken.update(at for at, _ in log.store.snapshots)
            behind = [at for at in taken if any(each <= at for each in places(log, word))]
            if refused is not None:
                break
            assert behind == []
    server.crash()
    if refused is not None:
        assert isinstance(refused, ReplayDiverged)
        assert (refused.part, refused.at) == ("carry", min(behind))


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_server_that_takes_over_compares_its_carry_with_the_last_snapshot(snapshot: bool) -> None:  # noqa: FBT001 - a parameter
    log = MemoryLog()
    server = LoggedPlayer(log, SNAPSHOTS)
    recovery = Recovery("it", START, SNAPSHOTS, Limits(), left=True, woken=True)
    handlers = carrying(ONE)
    with closing(log.read().unwrap()) as reader:
        assert driven(recovery.follow(reader), lambda asked: handlers(*asked)) is None
        server.play([Send("ann", ONE)])
        assert driven(recovery.follow(reader), lambda asked: handlers(*asked)) is None
    if snapshot:
        server.recorder.snapshot()
    server.crash()
    with closing(log.open().unwrap()) as journal:
        result = driven(recovery.finish(journal), lambda asked: handlers(*asked))
    if not snapshot:
        assert isinstance(result, Success)
        return
    diverged = result.failure()
    assert isinstance(diverged, ReplayDiverged)
    assert (diverged.part, diverged.at, diverged.message, diverged.carry) == ("carry", 2, ONE, server.carry)


def test_a_server_that_follows_a_log_finds_a_snapshot_that_was_taken_after_it_had_folded_what_is_before() -> None:
    log, often = MemoryLog(), attrs.evolve(SNAPSHOTS, every=1)
    server = LoggedPlayer(log, SNAPSHOTS)
    with closing(log.read().unwrap()) as reader:
        follow = following(reader, often, carrying(TWO))
        for message in [ONE] * 20 + [TWO, ONE]:
            assert follow() is None
            server.play([Send("ann", message)])
        assert follow() is None
        server.recorder.snapshot()
        assert follow() is None
        server.play([Send("ann", ONE)])
        refused = follow()
    assert isinstance(refused, ReplayDiverged)
    assert (refused.part, refused.at, refused.message) == ("carry", 23, ONE)


@attrs.define
class Counted:
    """Counts how often the snapshots are read."""

    reader: Reading
    count: int = 0

    @property
    def first(self) -> int:
        return self.reader.first

    def replay(self, after: int) -> Iterator[Result[tuple[bytes, ...], LogError]]:
        return self.reader.replay(after)

    def snapshots(self) -> Result[tuple[tuple[int, bytes], ...], LogError]:
        self.count += 1
        return self.reader.snapshots()

    def close(self) -> None:
        self.reader.close()


def test_a_server_that_follows_a_log_without_snapshots_seldom_looks_for_them() -> None:
    log = MemoryLog()
    server = LoggedPlayer(log)
    reader = Counted(log.read().unwrap())
    follow = following(reader, attrs.evolve(SNAPSHOTS, every=100), HANDLERS)
    for _ in range(300):
        server.play([Send("ann", ONE)])
        assert (follow(), follow()) == (None, None)
    assert reader.count == 1 + 2 * 16


def test_a_server_that_follows_a_file_compares_its_carry(tmp_path: Path) -> None:
    log, snapshots = SQLiteLog.of(tmp_path / "log").unwrap(), attrs.evolve(SNAPSHOTS, every=3)
    server = LoggedPlayer(log, snapshots)
    with closing(log.read().unwrap()) as reader:
        same, other = following(reader, snapshots, HANDLERS), following(reader, snapshots, carrying(ONE))
        assert (same(), other()) == (None, None)
        server.play([Send("ann", ONE)] * 9)  # both fold many bursts at once
        assert same() is None
        refused = other()
    server.crash()
    assert isinstance(refused, ReplayDiverged)
    assert (refused.part, refused.at) == ("carry", 6)  # the newest two are kept


def test_a_snapshot_behind_which_nothing_was_folded_is_not_compared() -> None:
    log = MemoryLog()
    server = LoggedPlayer(log, SNAPSHOTS)
    server.recorder.snapshot()
    server.crash()
    (first, begin), (after, record) = log.store.snapshots
    log.store.snapshots = [(first, begin), (after, record.replace(b"[[], [], []]", b'[[""],[],[]]'))]
    assert log.store.snapshots[1] != (after, record)
    assert again(log, SNAPSHOTS, HANDLERS) == Success(START)


@given(LIVES, st.none() | KEPT, WORDS)
def test_after_a_handler_was_adopted_each_other_one_is_noticed(
    lives: list[list[Step]], snapshots: Snapshots[Carry] | None, word: Message
) -> None:
    log = MemoryLog()
    for script in lives:
        LoggedPlayer(log, snapshots).play(script).crash()
    new, third = answering(word, ONE), answering(word, TWO)
    server = LoggedPlayer(log, snapshots, new, adopts=True)
    server.crash()
    adopted = [decode(record) for record in log.records if isinstance(decode(record).what, Adopted)]
    assert recovered(log, new, snapshots).carry == server.carry
    if not adopted:
        return
    assert len(adopted) == 1
    if snapshots is not None:  # the one that was taken then
        log.store.snapshots = [each for each in log.store.snapshots if each[0] < at_of(log, Adopted)]
        assert recovered(log, new, snapshots).carry == server.carry
    for handlers in (HANDLERS, third):
        with closing(log.open().unwrap()) as journal:
            diverged = recover("it", journal, START, handlers, snapshots, Limits()).failure()
        assert isinstance(diverged, ReplayDiverged)
        assert (diverged.part, diverged.at) == ("adopted", at_of(log, Adopted))


def at_of(log: MemoryLog, kind: type) -> int:
    whats = [decode(record).what for record in log.records]
    return next(at for at, what in enumerate(whats, log.store.first + 1) if isinstance(what, kind))


def test_a_server_that_did_not_fold_what_the_adopted_handler_did_is_not_known_to_have_its_carry() -> None:
    log = MemoryLog()
    server = LoggedPlayer(log, SNAPSHOTS).play([Send("ann", ONE)])
    new = answering(ONE, TWO)
    adopting = Recovery("it", START, SNAPSHOTS, Limits(), left=True, woken=True, adopts=True)
    with closing(log.read().unwrap()) as reader:  # it stands by
        assert driven(adopting.follow(reader), lambda asked: new(*asked)) is None
    server.play([Shutdown()])
    server.recorder.end(server.core.fold.began, server.core.fold.ending)
    server.crash()
    with closing(log.open().unwrap()) as journal:
        before = driven(adopting.finish(journal), lambda asked: new(*asked)).unwrap()
        assert (before.began, before.adopted) == (0, True)
        journal.append(encode(Entry(Adopted(9.0, before.began), 0, before.digest)))
        journal.commit()
        for handlers in (new, HANDLERS):
            diverged = recover("it", journal, START, handlers, SNAPSHOTS, Limits()).failure()
            assert isinstance(diverged, ReplayDiverged)
            assert (diverged.part, diverged.at, diverged.message) == ("adopted", 5, Woken(9.0))
            accepted = recover("it", journal, START, handlers, SNAPSHOTS, Limits(), adopts=True).unwrap()
            assert (accepted.began, accepted.adopted) == (4, True)


def test_what_an_adopted_handler_did_not_fold_stays_a_difference() -> None:
    log = MemoryLog()
    server = LoggedPlayer(log, SNAPSHOTS).play([Send("ann", TWO)])
    server.recorder.snapshot()
    server.play([Send("ann", ONE)]).crash()
    new = answering(ONE, TWO)
    LoggedPlayer(log, SNAPSHOTS, new, adopts=True).crash()
    carry = recovered(log, new, SNAPSHOTS).carry
    assert again(log, SNAPSHOTS, new) == Success(carry)
    for handlers, at in ((answering(TWO, ONE), 2), (HANDLERS, None)):
        with closing(log.read().unwrap()) as reader:
            refused = following(reader, None, handlers)()
        assert (refused if refused is None else (refused.part, refused.at)) == (at and ("answer", at))  # type: ignore[union-attr]  # see above


def test_a_server_that_follows_a_log_compares_its_carry_when_another_one_has_adopted() -> None:
    log = MemoryLog()
    LoggedPlayer(log).play([Send("ann", ONE)]).crash()
    new = answering(ONE, TWO)

    def other(message: Message, given: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        answer = new.handler(message, given, carry)
        return attrs.evolve(answer, carry=(("something else",), *answer.carry[1:]))

    recovery = Recovery("it", START, SNAPSHOTS, Limits(), left=True, woken=True, adopts=True)
    with closing(log.read().unwrap()) as reader:
        follow = partial(recovery.follow, reader)
        handlers = Handlers(other, left, woken)
        assert driven(follow(), lambda asked: handlers(*asked)) is None
        server = LoggedPlayer(log, SNAPSHOTS, new, adopts=True)
        assert driven(follow(), lambda asked: handlers(*asked)) is None
        server.play([Kill("ann"), Send("bob", STOP)])
        assert driven(follow(), lambda asked: handlers(*asked)) is None
    server.crash()
    with closing(log.open().unwrap()) as journal:
        assert (
            driven(recovery.finish(journal), lambda asked: handlers(*asked))
            .unwrap()
            .warnings[-1]
            .startswith("log.adopting() accepts that the carry differs from entry 4 on")
        )


class Plain:
    """It has no equality of its own."""

    def __init__(self, number: int) -> None:
        self.number = number


class Vector:
    """It compares as arrays do."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers

    def __eq__(self, other: object) -> "Vector":  # type: ignore[override]  # as arrays do
        return self

    def __bool__(self) -> bool:
        raise ValueError("the truth value is ambiguous")

    __hash__ = None  # type: ignore[assignment]  # as arrays


PICKLED = Snapshots[object].of(pickle.dumps, pickle.loads)
COUNT = count()
COUNTED = Snapshots[object].of(lambda carry: f"{carry} {next(COUNT)}".encode(), lambda content: content.split()[0])


@pytest.mark.parametrize(
    ("snapshots", "kept", "now", "found"),
    [
        (PICKLED, (1, "a"), (1, "a"), Nothing),
        (PICKLED, (1, "a"), (1, "b"), Some((1, "a"))),
        (PICKLED, None, 1, Some(None)),
        (PICKLED, 1, 1.0, Nothing),
        (COUNTED, 1, 1, Nothing),
        (COUNTED, 1, 2, Some(b"1")),
        (PICKLED, Plain(1), Plain(2), Nothing),
        (PICKLED, {"nested": Plain(1)}, {"nested": Plain(2)}, Nothing),
        (PICKLED, float("nan"), 1.0, Nothing),
        (PICKLED, Vector(1), Vector(2), Nothing),
        (PICKLED, 1, lambda: 1, Nothing),
        (Snapshots[object].of(lambda carry: str(carry).encode(), lambda _: 1 // 0), 1, 2, Nothing),
    ],
)
def test_a_carry_is_another_one_if_that_is_known(snapshots: Snapshots[object], kept: object, now: object, found: Maybe[object]) -> None:
    assert snapshots.other(now, snapshots.encode(kept).unwrap()) == found


@given(st.sets(st.integers()), st.sets(st.integers()))
def test_sets_are_the_same_carry_in_any_order(kept: set[int], now: set[int]) -> None:
    def write(carry: set[int]) -> bytes:
        return pickle.dumps(list(carry) if next(COUNT) % 2 else list(carry)[::-1])

    snapshots = Snapshots[set[int]].of(write, lambda content: set(pickle.loads(content)))  # noqa: S301 - it is from this test
    message = snapshots.encode(kept).unwrap()
    assert snapshots.other(set(kept), message) == Nothing
    assert snapshots.other(now, message) == (Nothing if kept == now else Some(kept))
