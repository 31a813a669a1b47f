"""A message with an identity is folded once, and every repetition gets its answer, also one that comes late."""

from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcfold import Continuation, Message, Peer, Ticket, fold
from ipcfold.continuation import Handler
from ipcfold.effects import Answer
from ipcfold.handlers import Open, Remembered, once, once_left, once_woken, rescue, rescue_left, rescue_woken
from ipcfold.inputs import Came, Input, Left
from ipcfold.testing import Elapse, Kill, Send, Step, simulate

Jobs: TypeAlias = tuple[tuple[Ticket, ...], tuple[str, ...]]
"""Which answers are open, and what was folded."""
NONE: Jobs = ((), ())
LATER, NOW, ANSWER, BOTH = (Message.text(text) for text in ("later", "now", "answer", "both"))


def work(message: Message, continuation: Continuation[Jobs], carry: Jobs) -> Continuation[Jobs]:
    """Do what the word says. Each answer has the number of what was folded before, so that it tells who folded it."""
    tickets, folded = carry
    number = Message.text(str(len(folded)))
    folded = (*folded, message.content.decode())
    match message.content:
        case b"later":
            return continuation.defer(((*tickets, continuation.ticket), folded))
        case b"both":
            return continuation.respond(carry, number).defer(((*tickets, continuation.ticket), folded))
        case b"at once":
            return continuation.defer((tickets, folded)).answer((tickets, folded), continuation.ticket, number)
        case b"answer" if tickets:
            return continuation.answer((tickets[1:], folded), tickets[0], number, number)
        case _:
            return continuation.respond((tickets, folded), number)


def ring(continuation: Continuation[Jobs], carry: Jobs) -> Continuation[Jobs]:
    tickets, folded = carry
    return continuation.answer((tickets[1:], folded), tickets[0], Message.text("rung")) if tickets else continuation


def go(_: Peer, continuation: Continuation[Jobs], carry: Jobs) -> Continuation[Jobs]:
    return ring(continuation, carry)


def stay(_: Peer, continuation: Continuation[Jobs], carry: Jobs) -> Continuation[Jobs]:
    return continuation.continue_(carry)


words = st.sampled_from(["later", "now", "both", "at once"]).map(Message.text)
identified = st.builds(Message.identified, words, st.sampled_from("abcd"))
said = st.one_of(identified, identified, words, st.just(ANSWER))
clients = st.sampled_from(["ann", "bob", "cat"])


@given(st.lists(st.builds(Send, clients, said), max_size=30))
def test_each_repetition_gets_the_answer_to_the_first_now_or_later(script: list[Send]) -> None:
    """However the answers come, all clients that sent one identity see the same ones, or nothing yet."""
    simulated = simulate(once(work), Remembered(NONE), script, left=once_left(stay))
    answers = dict[str, set[tuple[Message, ...]]]()
    first = set[tuple[str, bytes]]()
    for client in simulated.clients.values():
        for message, answer in zip(client.sent, client.answers, strict=True):
            key = message.identity.value_or("")
            if key:
                answers.setdefault(key, set()).add(answer)
                first.add((key, message.content))
    carry = simulated.carry
    assert all(len(each) == 1 for each in answers.values())
    assert {key: next(iter(each)) for key, each in answers.items()} == {key: said for (_, key), said in carry.responses.items()}
    plain = sum(not message.identity.map(bool).value_or(False) for client in simulated.clients.values() for message in client.sent)
    assert len(carry.carry[1]) == len(answers) + plain
    assert {opened.ticket for opened in carry.open.values()} <= set(carry.carry[0])


@given(st.lists(st.builds(Send, clients, said) | st.builds(Kill, clients) | st.builds(Elapse, st.just(1.0)), max_size=30))
def test_a_server_that_answers_late_never_fails_whoever_is_killed(script: list[Step]) -> None:
    """The answer to whom is gone is dropped, and a repetition of another client gets it."""
    simulated = simulate(once(work), Remembered(NONE), script, left=once_left(go))
    carry = simulated.result.unwrap()
    gone = {client.peer for client in simulated.clients.values() if client.departure is not None}
    assert not {ticket.peer for opened in carry.open.values() for ticket in opened.repeated} & gone
    for (_, key), responses in carry.responses.items():
        for client in simulated.clients.values():
            if client.departure is None:
                got = [a for m, a in zip(client.sent, client.answers, strict=True) if m.identity.value_or(None) == key]
                assert all(answer == responses for answer in got)


def test_a_client_that_comes_back_gets_the_answer_that_it_waited_for() -> None:
    pay = LATER.identified("order 7")
    script: list[Step] = [Send("ann", pay), Kill("ann"), Send("again", pay, NOW), Send("bob", ANSWER), Send("third", pay)]
    simulated = simulate(once(work), Remembered(NONE), script, left=once_left(stay))
    late = (Message.text("2"), Message.text("2"))
    assert simulated.clients["again"].answers == (late, (Message.text("1"),))
    assert simulated.clients["third"].answers == (late,)
    assert simulated.carry == Remembered(((), ("later", "now", "answer")), {(1000, "order 7"): late}, {})


@pytest.mark.parametrize("by", ["a departure", "an alarm"])
def test_departures_and_alarms_answer_what_was_deferred_for_all_repetitions(by: str) -> None:
    def wake(message: Message, continuation: Continuation[Jobs], carry: Jobs) -> Continuation[Jobs]:
        answer = work(message, continuation, carry)
        return answer.wake(answer.carry, continuation.now + 5.0)

    first = LATER.identified("x")
    script: list[Step] = [Send("ann", first), Send("bob", first), Send("cat", Message.text("now"))]
    end = Kill("cat") if by == "a departure" else Elapse(6.0)
    simulated = simulate(once(wake), Remembered(NONE), [*script, end, Send("bob", first)], left=once_left(go), woken=once_woken(ring))
    rung = (Message.text("rung"),)
    assert (simulated.clients["ann"].answers, simulated.clients["bob"].answers) == ((rung,), (rung, rung))


@given(st.lists(identified, max_size=12), st.integers(1, 3))
def test_an_open_answer_is_not_forgotten_and_the_others_are_bounded(messages: list[Message], remember: int) -> None:
    carry = fold(once(work, remember=remember), Remembered(NONE), messages).unwrap().carry
    assert carry.open.keys() <= carry.responses.keys()
    assert len(carry.responses) <= remember + len(carry.open)
    assert [opened.ticket for opened in carry.open.values()] == list(carry.carry[0])


def test_the_answer_to_a_repetition_stands_where_the_handler_answers() -> None:
    """So a client that is told something by the same answer gets both in the order of the calls."""
    bob = Peer(2, 2)

    def tell(message: Message, continuation: Continuation[Jobs], carry: Jobs) -> Continuation[Jobs]:
        answer = work(message, continuation, carry)
        return answer.tell(answer.carry, bob, NOW) if message == ANSWER else answer

    first = LATER.identified("x")
    inputs: list[Input] = [Came(0.0, Peer(1, 1), first), Came(1.0, bob, first), Came(2.0, Peer(3, 3), ANSWER)]
    effects = fold(once(tell), Remembered(NONE), inputs).unwrap().effects
    assert [each.ticket.peer.connection for each in effects if isinstance(each, Answer)] == [1, 2]
    assert [type(each).__name__ for each in effects] == ["Defer", "Defer", "Answer", "Answer", "Tell"]


def test_a_failure_is_remembered_where_once_is_outside_and_folded_again_where_rescue_is() -> None:
    def fail_first(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        if not tries:
            tries.append(message)
            raise OSError("the disk is full")
        return continuation.respond(carry + 1, Message.text("paid"))

    tries = list[Message]()
    pay, sorry, paid = Message.text("pay").identified("order 7"), Message.text("sorry"), Message.text("paid")
    inside, outside = once(rescue(fail_first, sorry)), rescue(once(fail_first), sorry)
    folded = fold(inside, Remembered(0), [pay, pay]).unwrap()
    assert (folded.carry.carry, folded.responses) == (0, (sorry, sorry))
    tries.clear()
    folded = fold(outside, Remembered(0), [pay, pay, pay]).unwrap()
    assert (folded.carry.carry, folded.responses) == (1, (sorry, paid, paid))


def test_an_answer_that_the_server_finds_wrong_is_not_remembered() -> None:
    def wrong(_: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        return continuation.answer(carry + 1, continuation.ticket)

    sorry = Message.text("sorry")
    for handler in (once(rescue(wrong, sorry)), rescue(once(wrong), sorry)):
        folded = fold(handler, Remembered(0), [NOW.identified("x")] * 2).unwrap()
        assert (folded.carry, folded.responses) == (Remembered(0), (sorry, sorry))


@pytest.mark.parametrize("handler", [once(lambda *_: None), rescue(once(lambda *_: None), NOW)])  # type: ignore[arg-type]  # what it is about
def test_what_returns_no_continuation_is_named(handler: Handler[Remembered[int]]) -> None:
    result = fold(handler, Remembered(0), [NOW.identified("x")])
    told = repr(result)
    assert "the handler returned NoneType, not a Continuation" in told


def test_all_functions_of_a_server_nest() -> None:
    left, woken = rescue_left(once_left(rescue_left(go))), rescue_woken(once_woken(rescue_woken(ring)))
    script: list[Step] = [Send("ann", LATER.identified("x")), Send("bob", LATER.identified("x")), Kill("ann")]
    simulated = simulate(rescue(once(rescue(work, NOW)), NOW), Remembered(NONE), script, left=left, woken=woken)
    assert simulated.clients["bob"].responses == (Message.text("rung"),)


def test_what_is_open_can_be_read() -> None:
    ann, bob, first = Peer(1, 1, 7, 7), Peer(2, 2, 7, 7), LATER.identified("x")
    inputs: list[Input] = [Came(0.0, ann, first), Came(1.0, bob, first)]
    carry = fold(once(work), Remembered(NONE), inputs).unwrap().carry
    assert carry.open == {(7, "x"): Open(Ticket(ann, 1, 0.0), (Ticket(bob, 1, 1.0),))}
    carry = fold(once(work), Remembered(NONE), [*inputs, Left(2.0, bob)], left=once_left(stay)).unwrap().carry
    assert carry.open == {(7, "x"): Open(Ticket(ann, 1, 0.0))}
