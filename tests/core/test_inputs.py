"""A server folds messages, departures and alarms, each with its time. The carry is a function of them."""

import math
from collections.abc import Callable
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success

from ipcfold import Continuation, HandlerFailed, Message, Name, Outcome, Peer, fold
from ipcfold.core.fold import Fold
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
            elif verb in (b"never", b"stop"):  # none rings after a stop
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
    "a truth value": (lambda continuation, carry: continuation.wake(carry, True), "wake wants seconds since the epoch, or None, not bool"),
    "an integer beyond every float": (lambda continuation, carry: continuation.wake(carry, 10**400), "int too large"),
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
    assert failed.message == Woken(2.0)
    assert str(failed.error).startswith("an alarm has no client to respond to or to close: ")


@pytest.mark.parametrize("answer", [lambda given: given.respond(1, ONE), lambda given: given.close(1)])
def test_a_client_that_has_left_gets_no_response(answer: Callable[[Continuation[int]], Continuation[int]]) -> None:
    def gone(_: Peer, given: Continuation[int], carry: int) -> Continuation[int]:
        return answer(given)

    inputs: list[Input] = [Came(1.0, ANN, ONE), Left(2.0, ANN)]
    failed = fold(lambda _, given, carry: given.continue_(carry), 0, inputs, left=gone).failure()
    assert (failed.carry, failed.message) == (0, Left(2.0, ANN))
    assert str(failed.error).startswith("a client that has left gets no responses and cannot be closed: ")
    match simulate(lambda _, given, carry: given.continue_(carry), 0, [Send("ann", ONE), Close("ann")], left=gone).result:
        case Failure(HandlerFailed(0, Left(), TypeError())):
            pass
        case other:
            pytest.fail(f"{other}")


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
        Left(5.0, ANN),
        Came(6.0, BOB, STOP),
        Left(7.0, BOB),
    ]
    folded = fold(came, EMPTY, inputs, left=left, woken=woken).unwrap()
    assert folded.carry == (inputs[0], *inputs[2:])


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


# Alarms that ring again at once.


def again(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    """Log the alarm, and ask for the next one at once."""
    return continuation.wake((*carry, Woken(continuation.now)), continuation.now)


@given(st.lists(st.sampled_from(["message", "departure", "answer"]), max_size=40), st.floats(-5.0, 0.0))
def test_what_waits_when_an_alarm_was_folded_comes_before_the_next_one(events: list[str], ago: float) -> None:
    folding, peers, owed, taken = Fold(0, name=Name("fold"), timeout=None, prepare=list, now=0.0, left=True, woken=True), 0, 0, 0

    def answer() -> None:
        nonlocal owed, taken
        asked = folding.ask(100.0)
        assert asked is not None  # an alarm is always due
        what, given = asked
        assert isinstance(what, Woken) == (not owed)
        folding.answered(given.wake(0, given.now + ago), 0.0, 0.0)
        owed = len(folding.waiting) if isinstance(what, Woken) else owed - 1
        taken += not isinstance(what, Woken)

    folding.offer(ANN, ONE)
    asked = folding.ask(100.0)
    assert asked is not None
    folding.answered(asked[1].wake(0, 100.0), 0.0, 0.0)
    for event in events:
        match event:
            case "message":
                peers += 1
                folding.offer(Peer(1 + peers), ONE)
            case "departure":
                peers += 1
                folding.depart(Peer(1 + peers))
            case _:
                answer()
    for _ in range(2 + 2 * peers):
        answer()
    assert taken == peers  # nobody starves


def test_alarms_without_an_end_do_not_keep_a_server_from_its_timeout() -> None:
    folding = Fold(0, name=Name("fold"), timeout=5.0, prepare=list, now=0.0, woken=True)
    folding.offer(ANN, ONE)
    for now in range(5):
        asked = folding.ask(float(now))
        assert asked is not None
        folding.tick(float(now))
        folding.answered(asked[1].wake(0, asked[1].now), 0.0, 0.0)
    assert folding.ask(5.0) is not None
    folding.tick(5.0)
    assert folding.stopped


@given(scripts(WORDS), st.floats(0.0, 2.0))
def test_an_alarm_that_asks_for_itself_at_once_rings_once_a_step(script: list[Step], ago: float) -> None:
    def rewake(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return continuation.wake((*carry, Woken(continuation.now)), continuation.now - ago)

    simulation = simulate(came, EMPTY, [Send("first", Message.text("in 0")), *script], left=left, woken=rewake, epoch=EPOCH)
    carry = simulation.result.unwrap()
    wakes = sum(isinstance(each, Came) and each.message.content.startswith(b"in") for each in carry)
    assert sum(isinstance(each, Woken) for each in carry) <= wakes + len(script)
    assert fold(came, EMPTY, carry, left=left, woken=rewake).unwrap().carry == carry


def test_the_next_step_of_a_script_finds_the_alarm_rung_at_the_time_before_it() -> None:
    script: list[Step] = [Send("ann", Message.text("in 0")), Elapse(10.0), Send("ann", ONE), Elapse(5.0)]
    carry = simulate(came, EMPTY, script, woken=again).carry
    assert [(type(each), each.now) for each in carry if isinstance(each, Came | Woken)] == [
        (Came, 0.0),
        (Woken, 0.0),
        (Woken, 0.0),
        (Woken, 10.0),
        (Came, 10.0),
        (Woken, 10.0),
    ]


def test_an_alarm_that_asks_for_itself_at_once_rings_before_each_plain_message() -> None:
    times = iter([1.0, 1.0, 2.0])
    folded = fold(came, EMPTY, [Message.text("in 0"), ONE, ONE], woken=again, clock=lambda: next(times)).unwrap()
    assert [(type(each), each.now) for each in folded.carry if isinstance(each, Came | Woken)] == [
        (Came, 1.0),
        (Woken, 1.0),
        (Woken, 1.0),
        (Came, 1.0),
        (Woken, 2.0),
        (Came, 2.0),
    ]


@pytest.mark.parametrize("at", [math.inf, None])
def test_an_infinite_time_is_never(at: float | None) -> None:
    def handle(_: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        return given.wake(carry, 1.0).wake(carry, at)

    assert simulate(handle, 0, [Send("ann", ONE), Elapse(100)], woken=lambda given, carry: given.continue_(carry + 1)).carry == 0


@pytest.mark.parametrize("at", [-math.inf, -5])
def test_every_time_in_the_past_is_at_once(at: float) -> None:
    def handle(_: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        return given.wake(carry, at)

    assert simulate(handle, 0, [Send("ann", ONE)], woken=lambda given, carry: given.continue_(carry + 1)).carry == 1


# Records that no server can have folded.


def test_an_alarm_of_a_record_rings_for_its_own_input_only() -> None:
    """A server may fold what waited before an alarm that is due."""
    record: list[Input] = [Came(1.0, ANN, Message.text("in 5")), Came(7.0, BOB, ONE), Woken(7.5)]
    assert fold(came, EMPTY, record, woken=woken).unwrap().carry == tuple(record)


RECORD: list[Input] = [Came(1.0, ANN, Message.text("in 5")), Came(2.0, BOB, ONE), Woken(6.5), Left(7.0, ANN)]
IMPOSSIBLE: dict[str, tuple[Input, str]] = {
    "a message after a departure": (Came(8.0, ANN, ONE), "connection 1 has left before it"),
    "a second departure": (Left(8.0, ANN), "connection 1 has left before it"),
    "a message of another client with this number": (Came(8.0, Peer(2, 21), ONE), "connection 2 is that of Peer(connection=2, pid=20"),
    "an alarm that nobody asked for": (Woken(8.0), "no alarm was asked for"),
    "an earlier message": (Came(6.9, BOB, ONE), "its time is 6.9, and that of the input before it 7.0"),
    "an earlier departure": (Left(6.9, BOB), "its time is 6.9, and that of the input before it 7.0"),
    "no time": (Left(math.nan, BOB), "its time is nan"),
    "a time without an end": (Left(math.inf, BOB), "its time is inf"),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_a_record_that_cannot_be_is_refused(what: str) -> None:
    wrong, text = IMPOSSIBLE[what]
    with pytest.raises(ValueError, match=r"^input 5 of the record cannot be, because .*: give the inputs of one server") as refused:
        fold(came, EMPTY, [*RECORD, wrong], left=left, woken=woken)
    assert text in str(refused.value)


def test_an_alarm_before_its_time_is_refused() -> None:
    record: list[Input] = [Came(1.0, ANN, Message.text("in 5")), Woken(5.9)]
    with pytest.raises(ValueError, match=r"^input 2 .* its alarm rings at 6\.0, and not at 5\.9"):
        fold(came, EMPTY, record, woken=woken)


@given(scripts(WORDS), st.data())
def test_a_second_departure_or_a_message_after_it_is_refused_wherever_it_stands(script: list[Step], data: st.DataObject) -> None:
    carry = played([Connect("ann"), Kill("ann"), *script]).carry
    gone = data.draw(st.sampled_from([each for each in carry if isinstance(each, Left)]))
    place = data.draw(st.integers(carry.index(gone) + 1, len(carry)))
    now = max(each.now for each in carry[:place] if isinstance(each, Came | Left | Woken))
    choices: list[Input] = [Left(now, gone.peer), Came(now, gone.peer, ONE)]
    wrong = data.draw(st.sampled_from(choices))
    with pytest.raises(ValueError, match=f"^input {place + 1} of the record cannot be, because connection {gone.peer.connection} has left"):
        fold(came, EMPTY, [*carry[:place], wrong, *carry[place:]], left=left, woken=woken)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ("text", "input 1 is str: fold takes messages, or Came, Left and Woken"),
        (Woken("1"), "input 1 has a time that is str: "),  # type: ignore[arg-type]  # what this test is about
        (Left(1.0, 1), "input 1 has no Peer or no Message: "),  # type: ignore[arg-type]  # as above
        (Came(1.0, ANN, b""), "input 1 has no Peer or no Message: "),  # type: ignore[arg-type]  # as above
    ],
)
def test_what_is_no_input_is_refused(wrong: Input, text: str) -> None:
    with pytest.raises(TypeError, match=f"^{text}"):
        fold(came, EMPTY, [wrong], left=left, woken=woken)


def test_clients_whose_connections_are_not_known_are_told_apart() -> None:
    first, second = Peer(pid=1), Peer(pid=2)
    record: list[Input] = [Came(1.0, first, ONE), Came(1.0, second, ONE), Left(2.0, first), Came(3.0, second, ONE)]
    assert fold(came, EMPTY, record, left=left).unwrap().carry == tuple(record)
    with pytest.raises(ValueError, match="has left before it"):
        fold(came, EMPTY, [*record, Left(4.0, first)], left=left)


def test_an_alarm_after_the_end_is_not_folded() -> None:
    before: list[Input] = [Came(1.0, ANN, Message.text("in 5")), Came(2.0, BOB, STOP)]
    folded = fold(came, EMPTY, [*before, Woken(3.0), Left(4.0, ANN)], left=left, woken=woken).unwrap()
    assert folded.carry == (*before, Left(4.0, ANN))
