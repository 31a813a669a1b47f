"""Whatever is wrong with what a function of a server returns or raises, its rescue keeps the carry and the server."""

from collections.abc import Callable
from typing import TypeAlias

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcfold import Continuation, Limits, Message, Outcome, Peer, Ticket, fold
from ipcfold.effects import Rescued
from ipcfold.events import Departure, Event, Folded
from ipcfold.handlers import rescue, rescue_left, rescue_woken, route
from ipcfold.testing import Elapse, Kill, Send, Step, simulate

Log: TypeAlias = tuple[str, ...]
EMPTY: Log = ()
SORRY, LARGE = Message.text("sorry"), Message.text("x" * 200)
LIMITS = Limits(message=100)
STRANGER = Peer(999, 9)


def fail(_: Exception) -> Message:
    raise KeyError("the excuse fails, too")


def wrong(continuation: Continuation[Log], carry: Log, how: str) -> Continuation[Log]:
    """An answer that is wrong in this way. Each has another carry, which must not be kept."""
    carry = (*carry, how)
    match how:
        case "raises":
            raise ValueError(how)
        case "none":
            return None  # type: ignore[return-value]  # what these tests are about
        case "the carry":
            return carry  # type: ignore[return-value]  # as above
        case "too large":
            return continuation.respond(carry, LARGE)
        case "no message":
            return continuation.respond(carry, "text")  # type: ignore[arg-type]  # as above
        case "no tuple":
            return attrs.evolve(continuation, responses=[SORRY])  # type: ignore[arg-type]  # as above
        case "no outcome":
            return attrs.evolve(continuation, outcome="stop")  # type: ignore[arg-type]  # as above
        case "no effects":
            return attrs.evolve(continuation, given=(0.0, 0, "effects"))  # type: ignore[arg-type]  # as above
        case "the peer of another":
            return Continuation(carry, peer=STRANGER)
        case "no ticket of a deferred message":
            return continuation.answer(carry, continuation.ticket, SORRY)
        case "a ticket twice":
            return continuation.defer(carry).answer(carry, continuation.ticket).answer(carry, continuation.ticket)
        case "a ticket of another server":
            return continuation.answer(carry, Ticket(STRANGER, 1), SORRY)
        case "tells a stranger":
            return continuation.tell(carry, STRANGER, SORRY)
        case "tells what is too large":
            return continuation.tell(carry, continuation.peer, LARGE)
        case "wakes at no time":
            return continuation.wake(carry, float("nan"))
        case "defers nothing":
            return continuation.defer(carry)
        case _:
            raise AssertionError(how)


WRONG_FOR_ALL = (
    *("raises", "none", "the carry", "no message", "no tuple", "no outcome", "no effects", "the peer of another"),
    *("a ticket of another server", "tells a stranger", "wakes at no time"),
)
WRONG = (*WRONG_FOR_ALL, "too large", "no ticket of a deferred message", "a ticket twice", "tells what is too large")
RIGHT = "right"


def handle(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    how = message.content.decode()
    return continuation.respond((*carry, how), message) if how == RIGHT else wrong(continuation, carry, how)


def expected(said: list[str]) -> Log:
    return tuple(how for how in said if how == RIGHT)


hows = st.lists(st.sampled_from((*WRONG, RIGHT, RIGHT)), max_size=8)


@given(hows)
def test_a_rescued_server_goes_on_after_any_wrong_answer_with_the_carry_before_it(said: list[str]) -> None:
    messages = [Message.text(how) for how in said]
    events = list[Event]()
    handler = rescue(handle, SORRY)
    folded = fold(handler, EMPTY, messages, woken=no_alarm, limits=LIMITS).unwrap()
    simulated = simulate(handler, EMPTY, [Send("ann", *messages)], limits=LIMITS, woken=no_alarm, observe=events.append)
    assert folded.carry == simulated.carry == expected(said)
    assert folded.responses == simulated.clients["ann"].responses
    assert folded.responses == tuple(message if how == RIGHT else SORRY for message, how in zip(messages, said, strict=True))
    told = [[type(effect) for effect in event.effects] for event in events if isinstance(event, Folded)]
    assert told == [[] if how == RIGHT else [Rescued] for how in said]
    assert simulated.clients["ann"].acknowledged == len(said)


def no_alarm(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    return continuation.continue_(carry)


@pytest.mark.parametrize("how", WRONG)
@pytest.mark.parametrize("excuse", [fail, LARGE, lambda _: LARGE, lambda _: None], ids=["raises", "too large", "makes too large", "none"])
def test_a_client_whose_excuse_cannot_be_sent_is_closed_and_the_others_are_served(how: str, excuse: Callable[[Exception], Message]) -> None:
    right = Message.text(RIGHT)
    events = list[Event]()
    script = [Send("ann", Message.text(how)), Send("bob", right)]
    simulated = simulate(rescue(handle, excuse), EMPTY, script, limits=LIMITS, woken=no_alarm, observe=events.append)
    ann, bob = simulated.clients["ann"], simulated.clients["bob"]
    assert (ann.departure, ann.acknowledged, ann.responses) == (Departure.DISMISSED, 1, ())
    assert (bob.departure, bob.responses, simulated.carry) == (None, (right,), (RIGHT,))
    first, second = (event for event in events if isinstance(event, Folded))
    assert [type(effect) for effect in first.effects] == [Rescued, Rescued]
    assert (first.outcome, second.effects) == (Outcome.CLOSE, ())


@given(hows)
def test_the_rescue_next_to_the_handler_is_the_one_that_answers(said: list[str]) -> None:
    messages = [Message.text(how) for how in said]
    folded = fold(rescue(handle, SORRY), EMPTY, messages, woken=no_alarm, limits=LIMITS).unwrap()
    for handler in (rescue(rescue(handle, SORRY), fail), route({"a/b": handle}, rescue(handle, SORRY))):
        other = fold(handler, EMPTY, messages, woken=no_alarm, limits=LIMITS).unwrap()
        assert (other.carry, other.responses) == (folded.carry, folded.responses)


def test_what_a_rescued_answer_is_given_afterwards_is_judged_and_rescued_with_it() -> None:
    def more(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        answer = rescue(handle, SORRY)(message, continuation, carry)
        return answer.tell(answer.carry, STRANGER, message)

    folded = fold(more, EMPTY, [Message.text(RIGHT)]).unwrap()
    assert (folded.carry, folded.responses) == (EMPTY, (SORRY,))


def test_a_rescue_does_not_show_in_an_answer_that_is_right() -> None:
    start = Continuation(EMPTY, peer=Peer(1), now=3.0)
    answer, plain = rescue(handle, SORRY)(Message.text(RIGHT), start, EMPTY), handle(Message.text(RIGHT), start, EMPTY)
    assert (answer, hash(answer), repr(answer), answer.effects) == (plain, hash(plain), repr(plain), ())


@given(st.lists(st.sampled_from((*WRONG_FOR_ALL, "defers nothing")), min_size=1))
def test_a_rescued_departure_keeps_the_carry_and_the_server(ways: list[str]) -> None:
    def left(_: Peer, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return wrong(continuation, carry, left_ways.pop())

    left_ways = list(ways)
    script: list[Step] = [*[Send(f"client {number}", Message.text(RIGHT)) for number in range(len(ways))]]
    script += [Kill(f"client {number}") for number in range(len(ways))]
    simulated = simulate(handle, EMPTY, [*script, Send("bob", Message.text(RIGHT))], left=rescue_left(left), woken=no_alarm)
    assert simulated.carry == (RIGHT,) * (len(ways) + 1)
    assert simulated.clients["bob"].departure is None
    assert left_ways == []
    assert len([line for line in simulated.transcript if "rescues" in line]) == len(ways)


@pytest.mark.parametrize("how", [*WRONG_FOR_ALL, "defers nothing"])
def test_a_rescued_alarm_keeps_the_carry_and_the_server(how: str) -> None:
    def woken(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return wrong(continuation, carry, how)

    def set_alarm(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return continuation.wake((*carry, message.content.decode()), continuation.now + 5.0)

    right = Message.text(RIGHT)
    simulated = simulate(set_alarm, EMPTY, [Send("ann", right), Elapse(6.0), Send("ann", right)], woken=rescue_woken(woken))
    assert simulated.carry == (RIGHT, RIGHT)
    assert len([line for line in simulated.transcript if "rescues" in line]) == 1


def test_a_rescue_changes_nothing_of_departures_and_alarms_that_are_right() -> None:
    def left(_: Peer, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return continuation.continue_((*carry, "left"))

    def woken(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return continuation.continue_((*carry, "woken"))

    start = Continuation(EMPTY)
    assert rescue_left(left)(STRANGER, start, EMPTY) == left(STRANGER, start, EMPTY)
    assert rescue_woken(woken)(start, EMPTY) == woken(start, EMPTY)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_not_rescued(error: type[BaseException]) -> None:
    def left(*_: object) -> Continuation[int]:
        raise error

    with pytest.raises(error):
        rescue_left(left)(STRANGER, Continuation(0), 0)
    with pytest.raises(error):
        rescue_woken(left)(Continuation(0), 0)
