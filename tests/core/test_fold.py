"""The fold is a plain reduce over the messages, is fair between peers, and never loses the carry."""

from functools import reduce
from math import inf
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success

from ipcfold import Continuation, HandlerFailed, Limits, Message, MessageTooLarge, Name, Outcome, Peer, ReservedMessage, cases, fold
from ipcfold.core.fold import Fold
from ipcfold.core.wire import Encoder, encode
from ipcfold.events import Ending, Reported, Stopping
from ipcfold.testing.strategies import messages

A, B, C = Peer(1, 10), Peer(2, 20), Peer(3, 30)
ONE, TWO, THREE = Message.text("one"), Message.text("two"), Message.text("three")
Log = tuple[bytes, ...]
EMPTY: Log = ()


def log(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    """Add the content to the carry and respond with the message. Some contents are words that ask for something else."""
    carry = (*carry, message.content)
    match message.content:
        case b"raise":
            raise KeyError(message.content)
        case b"interrupt":
            raise KeyboardInterrupt
        case b"close":
            return continuation.respond(carry, message).close(carry)
        case b"stop":
            return continuation.respond(carry, message).stop(carry)
        case b"large":
            return continuation.respond(carry, Message.octets(b"x" * (64 * 2**20 + 1)))
        case b"signal":
            return continuation.respond(carry, Message.text("innmind/ipc:heartbeat"))
        case b"bytes":
            return continuation.respond(carry, b"no message")  # type: ignore[arg-type]  # The test needs a wrong type.
        case b"text":
            return continuation.respond(carry, Message.octets("text"))  # type: ignore[arg-type]  # The test needs a wrong type.
        case b"list":
            return Continuation(carry, [message])  # type: ignore[arg-type]  # The test needs a wrong type.
        case b"none":
            return None  # type: ignore[return-value]  # The test needs a wrong type.
        case _:
            return continuation.respond(carry, message)


def folding(timeout: float | None = None) -> Fold[int, list[bytes]]:
    return Fold(0, name=Name("fold"), timeout=timeout, prepare=Encoder(Limits()).encode, now=0)


@given(st.lists(messages()))
def test_the_fold_gives_the_carry_of_a_plain_reduce(said: list[Message]) -> None:
    def echo(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return continuation.respond((*carry, message.content), message)

    expected = reduce(lambda carry, message: (*carry, message.content), said, EMPTY)
    assert fold(echo, EMPTY, said) == Success(Continuation(expected, tuple(said)))


def test_a_handler_that_returns_its_continuation_changes_nothing() -> None:
    def same(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        return continuation

    assert fold(same, 7, [ONE, TWO]) == Success(Continuation(7))


@pytest.mark.parametrize(("word", "outcome"), [("close", Outcome.CLOSE), ("stop", Outcome.STOP)])
def test_nothing_is_folded_after_an_end(word: str, outcome: Outcome) -> None:
    said = [ONE, Message.text(word), TWO]
    left = iter(said)
    assert fold(log, EMPTY, left) == Success(Continuation((b"one", word.encode()), tuple(said[:2]), outcome))
    assert list(left) == [TWO]  # The fold did not take it from the iterator.


@pytest.mark.parametrize(
    ("word", "kind", "told"),
    [
        ("raise", KeyError, "b'raise'"),
        ("none", TypeError, "the handler returned NoneType, not a Continuation: return what continuation."),
        ("bytes", TypeError, "a Message of a MediaType and bytes is wanted, not bytes"),
        ("text", TypeError, "a Message of a MediaType and bytes is wanted, not a Message of MediaType and str"),
        ("list", TypeError, "responses must be a tuple of messages, not list: "),
        ("large", ValueError, str(MessageTooLarge(64 * 2**20 + 1, 64 * 2**20))),
        ("signal", ValueError, str(ReservedMessage(Message.text("innmind/ipc:heartbeat")))),
    ],
)
def test_a_failing_handler_leaves_the_last_good_carry_and_the_reason(word: str, kind: type[Exception], told: str) -> None:
    match cases(fold(log, EMPTY, [ONE, Message.text(word), TWO])):
        case Failure(HandlerFailed(carry, message, error)):
            assert carry == (b"one",)
            assert message == Message.text(word)
            assert isinstance(error, kind)
            assert str(error).startswith(told)
        case other:
            pytest.fail(f"{other}")


class Raising:
    """Each of its special methods raises."""

    def _raise(self, *_: object) -> NoReturn:
        raise SystemExit(3)

    __repr__ = __str__ = __format__ = __eq__ = __ne__ = __len__ = __iter__ = __bool__ = _raise
    __hash__ = object.__hash__


class RaisingPair(tuple[Message, Message]):
    """A tuple that raises when something iterates over it."""

    __iter__ = Raising._raise  # noqa: SLF001 - of the class above


NESTED = list[object]()
for _ in range(100_000):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    ("answer", "told"),
    [  # A handler may return none of these. The test needs their wrong types.
        pytest.param(Raising(), "the handler returned Raising, not a Continuation: ", id="an object that raises"),
        pytest.param(NESTED, "the handler returned list, not a Continuation: ", id="nested"),
        pytest.param(Continuation(7, peer=A), "the handler returned a Continuation that is not of this client", id="another's"),
        pytest.param(Continuation(7, peer=Raising()), "3", id="a peer that raises"),  # type: ignore[arg-type]
        pytest.param(Continuation(7, Raising()), "responses must be a tuple of messages, not Raising: ", id="no responses"),  # type: ignore[arg-type]
        pytest.param(Continuation(7, RaisingPair()), "responses must be a tuple of messages, not RaisingPair: ", id="responses that raise"),
        pytest.param(Continuation(7, (Raising(),)), "a Message of a MediaType and bytes is wanted, not Raising", id="no message"),  # type: ignore[arg-type]
        pytest.param(Continuation(7, (NESTED,)), "a Message of a MediaType and bytes is wanted, not list", id="a nested list as message"),  # type: ignore[arg-type]
        pytest.param(
            Continuation(7, (Message(Raising(), b""),)),  # type: ignore[arg-type]
            "a Message of a MediaType and bytes is wanted, not a Message of Raising and bytes",
            id="no media type",
        ),
        pytest.param(Continuation(7, (), "stop"), "the outcome must be an Outcome, not str: ", id="a string as outcome"),  # type: ignore[arg-type]
        pytest.param(Continuation(7, (), Raising()), "the outcome must be an Outcome, not Raising: ", id="no outcome"),  # type: ignore[arg-type]
    ],
)
def test_the_fold_rejects_an_invalid_answer_without_calling_its_methods(answer: Continuation[int], told: str) -> None:
    def give(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        return answer

    failed = fold(give, 6, [ONE]).failure()
    assert (failed.carry, failed.message) == (6, ONE)
    assert str(failed.error).startswith(told)


class Interrupting:
    """Raises KeyboardInterrupt when something reads an attribute of it."""

    def __getattribute__(self, name: str) -> NoReturn:
        raise KeyboardInterrupt


class Subtle(bytes):
    """A subclass of bytes."""


def test_an_interrupt_while_the_fold_checks_an_answer_interrupts_its_message() -> None:
    def give(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        peer: object = Interrupting() if message == TWO else continuation.peer
        return Continuation(carry + 1, (message,), peer=peer)  # type: ignore[arg-type]  # The test needs a wrong type.

    assert fold(give, 0, [ONE, TWO, THREE]) == Success(Continuation(1, (ONE,), Outcome.STOP))


def test_the_fold_accepts_a_content_of_a_subclass_of_bytes() -> None:
    subtle = Message.octets(Subtle(b"subtle"))
    assert fold(log, EMPTY, [subtle]) == Success(Continuation((b"subtle",), (subtle,)))


def test_the_error_for_an_invalid_answer_names_no_line_of_ipcfold() -> None:
    assert " at " not in str(fold(log, EMPTY, [Message.text("none")]).failure())


def test_the_fold_takes_the_limits_of_a_server() -> None:
    assert isinstance(fold(log, EMPTY, [ONE], limits=Limits(message=2)).failure().error, ValueError)


def test_the_error_names_the_line_where_the_handler_failed() -> None:
    told = str(fold(log, EMPTY, [Message.text("raise")]).failure())
    assert "KeyError(b'raise') at" in told
    assert "test_fold.py:" in told


def test_an_interrupted_handler_ends_the_fold_without_a_loss() -> None:
    said = [ONE, Message.text("interrupt"), TWO]
    assert fold(log, EMPTY, said) == Success(Continuation((b"one",), (ONE,), Outcome.STOP))


def test_the_fold_asks_peers_in_turn() -> None:
    server = folding()
    asked = []
    for peer in (A, B, C):
        server.offer(peer, ONE)
    for _ in range(6):
        ask = server.ask()
        assert ask is not None
        asked.append(ask[1].peer)
        assert server.ask() == ask  # The handler gets one message at a time.
        server.answered(ask[1].continue_(ask[1].carry + 1), now=0, since=0)
        server.offer(ask[1].peer, TWO)  # The next message of a peer goes behind those of the others.
    assert asked == [A, B, C, A, B, C]
    assert server.result() == Success(6)


def test_a_continuation_of_another_peer_fails_the_fold() -> None:
    server = folding()
    server.offer(A, ONE)
    server.ask()
    assert server.answered(Continuation(1, peer=B), now=0, since=0) is None
    failed = server.result().failure()
    assert (failed.carry, failed.message, type(failed.error)) == (0, ONE, TypeError)


def test_a_continuation_of_an_equal_peer_is_an_answer() -> None:
    server = folding()
    server.offer(A, ONE)
    server.ask()
    assert server.answered(Continuation(1, (ONE,), peer=Peer(1, 10)), now=0, since=0) == [encode(ONE)]
    assert server.result() == Success(1)


def test_an_answer_to_nothing_changes_nothing() -> None:
    server = folding()
    assert server.answered(Continuation(1), now=0, since=0) is None
    server.interrupted()
    assert server.answered(Continuation(1), now=0, since=0) is None
    server.failed(KeyError())
    assert server.result() == Success(0)


def test_the_message_at_the_handler_is_answered_after_a_stop() -> None:
    server = folding()
    server.offer(A, ONE)
    server.offer(B, TWO)
    ask = server.ask()
    assert ask is not None
    server.stop(Ending.SIGNALLED)
    assert server.asked == ask
    assert server.answered(ask[1].continue_(1), now=0, since=0) == []
    assert server.ask() is None
    assert server.result() == Success(1)


@given(st.lists(st.floats(0.1, 1.9), max_size=5))
def test_the_fold_stops_when_no_message_comes_for_the_timeout(gaps: list[float]) -> None:
    server, now = folding(2), 0.0
    for gap in gaps:
        now += gap
        server.tick(now)
        server.offer(A, ONE)
        server.tick(now + 10)  # A message waits, so the timeout does not run.
        ask = server.ask()
        server.tick(now + 10)  # Nor does it run during the handler.
        assert ask is not None
        server.answered(ask[1].continue_(0), now=now, since=now)
    assert server.deadline == now + 2
    server.tick(now + 1.99)
    assert not server.stopped
    server.tick(now + 2)
    assert server.stopped
    assert server.deadline == inf


def test_a_fold_without_a_timeout_never_stops_by_itself() -> None:
    server = folding()
    assert server.deadline == inf
    server.tick(1e9)
    assert not server.stopped


@pytest.mark.parametrize("ending", Ending)
def test_a_fold_reports_once_how_it_ended(ending: Ending) -> None:
    events = list[Reported]()
    server = Fold(0, name=Name("fold"), timeout=2, prepare=Encoder(Limits()).encode, now=0, report=events.append)
    server.offer(A, ONE)
    ask = server.ask()
    assert ask is not None
    match ending:
        case Ending.STOPPED:
            server.answered(ask[1].stop(1), now=0, since=0)
        case Ending.FAILED:
            server.failed(KeyError())
        case Ending.INTERRUPTED:
            server.interrupted()
        case Ending.TIMED_OUT:
            server.answered(ask[1].continue_(1), now=0, since=0)
            server.tick(2)
        case Ending.SIGNALLED | Ending.BROKEN:
            server.stop(ending)
    server.stop(Ending.SIGNALLED)
    assert events == [Stopping(Name("fold"), ending)]
