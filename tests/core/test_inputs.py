"""A server folds messages, departures and alarms, each with its time. The carry is a function of them."""

import math
from collections.abc import Callable
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success

from ipcfold import Continuation, HandlerFailed, Message, Outcome, Peer, fold
from ipcfold.core.members import Members
from ipcfold.effects import Ticket, Wake
from ipcfold.events import Connected, Disconnected
from ipcfold.inputs import Came, Input, Left, Woken
from ipcfold.testing import Elapse, Send, Shutdown, Simulation, Step, scripts, simulate
from ipcfold.testing.script import Close, Connect, Kill

Log = tuple[Input, ...]
EMPTY: Log = ()
EPOCH = 1.7e9
ANN, BOB = Peer(1, 10), Peer(2, 20)
ONE, STOP, CLOSE = Message.text("one"), Message.text("stop"), Message.text("close")
WORDS = st.sampled_from(["one", "in 0.25", "in 7", "in -3", "never", "close", "stop"]).map(Message.text)


def came(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    """Log the message, and do what it says."""
    carry = (*carry, Came(continuation.now, continuation.peer, message))
    verb, _, seconds = message.content.partition(b" ")
    match verb:
        case b"in":
            return continuation.respond(carry, message).wake(carry, continuation.now + float(seconds))
        case b"never":
            return continuation.wake(carry, None)
        case b"close":
            return continuation.close(carry)
        case b"stop":
            return continuation.stop(carry)
        case _:
            return continuation.respond(carry, message)


def left(peer: Peer, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    return continuation.continue_((*carry, Left(continuation.now, peer)))


def woken(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    return continuation.continue_((*carry, Woken(continuation.now)))


def played(script: list[Step]) -> Simulation[Log]:
    return simulate(came, EMPTY, script, left=left, woken=woken, epoch=EPOCH)


@given(scripts(WORDS), st.booleans())
def test_the_fold_of_the_recorded_inputs_gives_the_carry_of_the_server(script: list[Step], ended: bool) -> None:  # noqa: FBT001 - drawn
    carry = played([*script, *([Shutdown()] if ended else [])]).result.unwrap()
    assert fold(came, EMPTY, carry, left=left, woken=woken).unwrap().carry == carry


@given(scripts(WORDS))
def test_each_connection_that_was_let_in_leaves_once_after_its_last_message(script: list[Step]) -> None:
    simulation = played([*script, Shutdown(), Elapse(1000.0)])
    peers = [event.peer for event in simulation.events if isinstance(event, Connected)]
    carry = simulation.result.unwrap()
    assert sorted(each.peer.connection for each in carry if isinstance(each, Left)) == [peer.connection for peer in peers]
    for peer in peers:
        *_, last = [each for each in carry if isinstance(each, Came | Left) and each.peer == peer]
        assert isinstance(last, Left)


@given(scripts(WORDS))
def test_time_never_decreases_and_an_alarm_is_neither_early_nor_late(script: list[Step]) -> None:
    carry, wanted, before = played(script).result.unwrap(), math.inf, EPOCH
    for each in carry:
        assert isinstance(each, Came | Left | Woken)
        assert before <= each.now
        before = each.now
        if isinstance(each, Woken):
            assert each.now == wanted
            wanted = math.inf
        else:
            assert each.now <= wanted
        if isinstance(each, Came):
            verb, _, seconds = each.message.content.partition(b" ")
            if verb == b"in":
                wanted = max(each.now, each.now + float(seconds))
            elif verb == b"never":
                wanted = math.inf


def test_a_new_wake_replaces_the_old_one_and_none_cancels_it() -> None:
    script: list[Step] = [Send("ann", Message.text("in 5")), Send("ann", Message.text("in 3")), Elapse(10.0)]
    assert [each.now for each in played(script).carry if isinstance(each, Woken)] == [EPOCH + 3]
    script = [Send("ann", Message.text("in 5")), Send("ann", Message.text("never")), Elapse(10.0)]
    assert [each for each in played(script).carry if isinstance(each, Woken)] == []


def test_an_alarm_can_set_the_next_one_and_end_the_server() -> None:
    def set_alarm(_: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        return continuation.wake(carry, continuation.now + 1)

    def rung(continuation: Continuation[int], carry: int) -> Continuation[int]:
        again = continuation.wake(carry + 1, continuation.now + 1)
        return again.stop(carry + 1) if carry == 4 else again

    simulation = simulate(set_alarm, 0, [Send("ann", ONE), Elapse(100.0)], woken=rung)
    assert (simulation.result, simulation.outcome) == (Success(5), Outcome.STOP)
    assert "   5.00 s  server  folds an alarm, sets its alarm to 6, says stop: the carry is 5" in simulation.transcript


def test_an_alarm_rings_before_the_messages_that_wait() -> None:
    def ring(_: Message, continuation: Continuation[str], carry: str) -> Continuation[str]:
        return continuation.wake(carry + "m", continuation.now)

    script: list[Step] = [Send(name, ONE) for name in ("ann", "bob")]
    assert simulate(ring, "", script, woken=lambda continuation, carry: continuation.continue_(carry + "w")).carry == "mwmw"


def test_departures_are_folded_after_a_stop_and_alarms_are_not() -> None:
    carry = played([Connect("bob"), Send("ann", Message.text("in 1")), Send("ann", STOP), Elapse(100.0)]).carry
    assert [type(each) for each in carry] == [Came, Came, Left, Left]


def test_a_failure_in_left_is_the_failure_of_the_server() -> None:
    def fail(peer: Peer, continuation: Continuation[int], carry: int) -> NoReturn:
        raise KeyError(peer.connection, continuation.now, carry)

    simulation = simulate(
        lambda _, continuation, carry: continuation.continue_(carry + 1), 0, [Send("ann", ONE), Connect("bob"), Kill("ann")], left=fail
    )
    match simulation.result:
        case Failure(HandlerFailed(carry, Left(now, peer), KeyError())):
            assert (carry, now, peer.connection) == (1, 0.0, 1)
        case other:
            pytest.fail(f"{other}")
    assert sum(isinstance(event, Disconnected) for event in simulation.events) == 2


def test_an_interrupt_of_left_leaves_out_its_departure_only() -> None:
    def interrupted(peer: Peer, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        if peer.connection == 1:
            raise KeyboardInterrupt
        return left(peer, continuation, carry)

    simulated = fold(came, EMPTY, [Left(0.0, ANN), Left(0.0, BOB)], left=interrupted).unwrap()
    assert (simulated.carry, simulated.outcome) == ((Left(0.0, BOB),), Outcome.CONTINUE)


WRONG: dict[str, tuple[Callable[[Continuation[int], int], Continuation[int]], str]] = {
    "a time that is no number": (lambda continuation, carry: continuation.wake(carry, math.nan), "wake wants seconds since the epoch"),
    "a text": (lambda continuation, carry: continuation.wake(carry, "5"), "wake wants seconds since the epoch"),  # type: ignore[arg-type]  # so
    "effects of another kind": (lambda _, carry: Continuation(carry, effects=(Wake(1.0),)), "effects must be what"),  # type: ignore[arg-type]  # so
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_effect_is_a_failure_of_the_handler(wrong: str) -> None:
    answer, text = WRONG[wrong]
    failed = fold(
        lambda _, continuation, carry: answer(continuation, carry), 7, [ONE], woken=lambda continuation, _: continuation
    ).failure()
    assert (failed.carry, failed.message) == (7, ONE)
    assert str(failed.error).startswith(text)


def test_an_alarm_without_a_function_for_it_is_a_failure_of_the_handler() -> None:
    failed = fold(lambda _, continuation, carry: continuation.wake(carry, 1.0), 7, [ONE]).failure()
    assert "woken=" in str(failed.error)
    assert fold(lambda _, continuation, carry: continuation.wake(carry, None), 7, [ONE]).unwrap().carry == 7


@pytest.mark.parametrize("answer", [lambda given: given.respond(1, ONE), lambda given: given.close(1)])
def test_an_alarm_has_no_client(answer: Callable[[Continuation[int]], Continuation[int]]) -> None:
    inputs: list[Input] = [ONE, Woken(2.0)]
    failed = fold(lambda _, given, carry: given.wake(carry, 1.0), 0, inputs, woken=lambda given, _: answer(given)).failure()
    assert (failed.message, str(failed.error)) == (Woken(2.0), "an alarm has no client to respond to or to close")


def test_the_clock_of_the_caller_gives_the_time_and_rings_alarms() -> None:
    times = iter([10.0, 9.0, 12.0, 30.0])
    folded = fold(came, EMPTY, [Message.text("in 5"), ONE, ONE, ONE], woken=woken, clock=lambda: next(times)).unwrap()
    assert [each.now for each in folded.carry if isinstance(each, Came | Woken)] == [10.0, 10.0, 12.0, 30.0, 30.0]
    assert folded.effects == (Wake(15.0),)


def test_the_offline_fold_keeps_clients_apart() -> None:
    inputs: list[Input] = [
        Came(1.0, ANN, CLOSE),
        Came(2.0, ANN, ONE),
        Came(3.0, BOB, ONE),
        Woken(4.0),
        Left(5.0, ANN),
        Came(6.0, BOB, STOP),
        Left(7.0, BOB),
    ]
    folded = fold(came, EMPTY, inputs, left=left, woken=woken).unwrap()
    assert folded.carry == (inputs[0], inputs[2], *inputs[4:])


@pytest.mark.parametrize("arguments", [(1, None, None), (came, 1, None), (came, None, 1)])
def test_what_cannot_be_called_is_refused(arguments: tuple[object, object, object]) -> None:
    handler, departure, alarm = arguments
    with pytest.raises(TypeError, match=r", not 1$"):
        fold(handler, EMPTY, [], left=departure, woken=alarm)  # type: ignore[arg-type]  # what this test is about


def test_a_closed_client_has_left() -> None:
    carry = played([Send("ann", ONE), Close("ann")]).carry
    assert [type(each) for each in carry] == [Came, Left]


def test_an_answer_to_a_departure_that_is_not_valid_is_a_failure() -> None:
    def wrong(_: Peer, continuation: Continuation[int], carry: int) -> Continuation[int]:
        return continuation.wake(carry, 5.0)  # without `woken`

    simulation = simulate(lambda _, continuation, carry: continuation.continue_(carry), 0, [Connect("ann"), Kill("ann")], left=wrong)
    match simulation.result:
        case Failure(HandlerFailed(0, Left(), TypeError())):
            pass
        case other:
            pytest.fail(f"{other}")


def test_nobody_waits_for_the_answer_to_a_client_that_is_gone() -> None:
    members = Members()
    members.join(ANN)
    members.leave(ANN)
    members.defer(Ticket(ANN, 1))
    assert not members.takes(Ticket(ANN, 1), set(), None)
