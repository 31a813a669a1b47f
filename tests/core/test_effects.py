"""A handler tells other clients, and answers later. Each client gets what is for it, once and in order."""

from collections.abc import Callable
from typing import TypeAlias

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success

from ipcfold import ConnectionLost, Continuation, HandlerFailed, Limits, MediaType, Message, Name, Peer, ReservedMessage, fold
from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.server import ServerCore
from ipcfold.core.server_connection import ServerConnection
from ipcfold.core.verbs import Verbs
from ipcfold.core.wire import MARK, Broken, Decoder, Encoder, RefusedError, Signal, encode, unmarked
from ipcfold.effects import Answer, Defer, Effects, Tell, Ticket
from ipcfold.events import Departure, Disconnected, Ending
from ipcfold.inputs import Came, Input, Left
from ipcfold.testing import Connect, Hold, Kill, Release, Send, Step, media_types, messages, scripts, simulate

ANN, GONE, BOB = Peer(1, 10, run=7), Peer(2, 30, run=7), Peer(3, 20)
ONE, TWO, THREE = Message.text("one"), Message.text("two"), Message.text("three")

State: TypeAlias = tuple[tuple[Peer, ...], tuple[Ticket, ...], tuple[Input, ...]]
"""Who is there, which answers are open, and what was folded."""
START: State = ((), (), ())
WORDS = st.sampled_from(["all", "defer", "answer", "plain", "close"])


def busy(message: Message, continuation: Continuation[State], carry: State) -> Continuation[State]:
    """Do what the word says. Each message out has the number of the inputs so far, so that nothing is sent twice unnoticed."""
    there, open_, inputs = carry
    there = there if continuation.peer in there else (*there, continuation.peer)
    inputs = (*inputs, Came(continuation.now, continuation.peer, message))
    carry = there, open_, inputs
    note = Message.text(f"{len(inputs)}")
    match message.content:
        case b"all":
            continuation = continuation.respond(carry, Message.text("before"))
            for peer in there:
                continuation = continuation.tell(carry, peer, note)
            return continuation.respond(carry, Message.text("after"))
        case b"defer":
            return continuation.defer((there, (*open_, continuation.ticket), inputs))
        case b"answer" if open_:
            carry = there, open_[1:], inputs
            return continuation.answer(carry, open_[0], note, note).respond(carry, Message.text("answered"))
        case b"close":
            return continuation.tell(carry, continuation.peer, note).close(carry)
        case _:
            return continuation.respond(carry, note)


def left(peer: Peer, continuation: Continuation[State], carry: State) -> Continuation[State]:
    there, open_, inputs = carry
    return continuation.continue_((tuple(each for each in there if each != peer), open_, (*inputs, Left(continuation.now, peer))))


@given(scripts(WORDS.map(Message.text)))
def test_each_client_gets_what_the_fold_of_the_record_says_in_order(script: list[Step]) -> None:
    simulation = simulate(busy, START, script, left=left)
    carry = simulation.result.unwrap()
    folded = fold(busy, START, carry[2], left=left).unwrap()
    assert folded.carry == carry
    for client in simulation.clients.values():
        told = [each for effect in folded.effects if isinstance(effect, Tell) and effect.peer == client.peer for each in effect.messages]
        assert list(client.told) == told[: len(client.told)]
        if client.departure is None:
            assert list(client.told) == told
        late = {
            effect.ticket.number: effect.messages
            for effect in folded.effects
            if isinstance(effect, Answer) and effect.ticket.peer == client.peer
        }
        for number, (sent, answers) in enumerate(zip(client.sent, client.answers, strict=True), 1):
            if sent.content == b"defer":
                assert answers == late.get(number, ())[: len(answers)]
                if client.departure is None:
                    assert answers == late.get(number, ())


def test_a_client_gets_what_it_is_told_between_its_own_responses() -> None:
    def mixed(_: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        return given.respond(carry, ONE).tell(carry, given.peer, TWO).respond(carry, THREE).tell(carry, given.peer, ONE)

    simulation = simulate(mixed, 0, [Send("ann", ONE)])
    assert [line.split(maxsplit=4)[-1] for line in simulation.transcript if "ann     gets" in line] == [
        "text/plain b'one'",
        "text/plain b'two'",
        "text/plain b'three'",
        "text/plain b'one'",
    ]
    (ann,) = simulation.clients.values()
    assert (ann.answers, ann.told) == (((ONE, THREE),), (TWO, ONE))


def test_what_is_told_with_a_close_arrives_before_it() -> None:
    def close(_: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        return given.close(carry).tell(carry, given.peer, TWO)

    (ann,) = simulate(close, 0, [Send("ann", ONE)]).clients.values()
    assert (ann.told, ann.departure) == ((TWO,), Departure.DISMISSED)


def test_a_message_can_be_deferred_and_answered_at_once() -> None:
    def at_once(_: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        return given.defer(carry).answer(carry, given.ticket, TWO)

    (ann,) = simulate(at_once, 0, [Send("ann", ONE)]).clients.values()
    assert ann.answers == ((TWO,),)


NOBODY_YET: tuple[Peer, ...] = ()


def subscribe(message: Message, given: Continuation[tuple[Peer, ...]], carry: tuple[Peer, ...]) -> Continuation[tuple[Peer, ...]]:
    """A `one` subscribes; everything else goes to the subscribers."""
    if message == ONE:
        return given.continue_((*carry, given.peer))
    for peer in carry:
        given = given.tell(carry, peer, message)
    return given


def unsubscribe(peer: Peer, given: Continuation[tuple[Peer, ...]], carry: tuple[Peer, ...]) -> Continuation[tuple[Peer, ...]]:
    return given.continue_(tuple(each for each in carry if each != peer))


def test_a_subscriber_that_does_not_read_costs_itself_and_nobody_else() -> None:
    news = Message.octets(b"x" * 500)
    subscribed: list[Step] = [Send("slow", ONE), Send("quick", ONE), Hold("slow")]
    script = [*subscribed, *[Send("ann", news)] * 10, Release("slow")]
    simulation = simulate(subscribe, NOBODY_YET, script, left=unsubscribe, limits=Limits(unsent=1000))
    assert [client.told for client in map(simulation.clients.__getitem__, ("quick", "ann"))] == [(news,) * 10, ()]
    assert simulation.clients["slow"].told == (news,) * 2 or len(simulation.clients["slow"].told) <= 3
    gone = [event for event in simulation.events if isinstance(event, Disconnected)]
    assert [(event.peer.connection, event.departure, "(limits.unsent)" in event.reason) for event in gone] == [(1, Departure.DROPPED, True)]
    assert [peer.connection for peer in simulation.carry] == [2]


def test_a_subscriber_that_has_died_is_told_nothing_and_leaves() -> None:
    simulation = simulate(subscribe, NOBODY_YET, [Send("gone", ONE), Send("ann", TWO), Kill("gone"), Send("ann", TWO)], left=unsubscribe)
    assert (simulation.result, simulation.clients["gone"].told) == (Success(()), (TWO,))


def test_what_a_gone_client_is_told_or_answered_is_dropped() -> None:
    def keep(message: Message, given: Continuation[Ticket | None], carry: Ticket | None) -> Continuation[Ticket | None]:
        if carry is None:
            return given.defer(given.ticket)
        return given.tell(carry, carry.peer, message).answer(carry, carry, message).respond(carry, message)

    simulation = simulate(keep, None, [Send("gone", ONE), Kill("gone"), Send("ann", TWO)])
    assert simulation.clients["ann"].answers == ((TWO,),)
    assert simulation.clients["gone"].answers == ((),)


def test_a_peer_that_is_gone_is_told_nothing_whether_or_not_its_run_is_known() -> None:
    inputs: list[Input] = [Left(0.0, GONE), Came(0.0, ANN, ONE)]

    def tell(_: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        return given.tell(carry + 1, GONE, ONE).tell(carry + 1, Peer(GONE.connection, GONE.pid), ONE)

    assert fold(tell, 0, inputs).unwrap().carry == 1


KEPT = Ticket(ANN, 1)
WRONG: dict[str, tuple[Callable[[Continuation[int]], Continuation[int]], str]] = {
    "telling nobody": (lambda given: given.tell(1, Peer(), ONE), "is no client of this server"),
    "telling a client of another server": (lambda given: given.tell(1, BOB, ONE), "is no client of this server"),
    "telling the client of another connection with this number": (lambda given: given.tell(1, Peer(1, 11), ONE), "is no client of this"),
    "telling no peer": (lambda given: given.tell(1, 1, ONE), "only a Peer can be told something, not int"),  # type: ignore[arg-type]  # so
    "telling no message": (lambda given: given.tell(1, ANN, b""), "a Message of a MediaType and bytes is wanted"),  # type: ignore[arg-type]  # so
    "telling a signal": (lambda given: given.tell(1, ANN, Message.text("innmind/ipc:heartbeat")), "is a signal of the protocol"),
    "answering an acknowledged message": (lambda given: given.answer(1, KEPT, ONE), "is not open"),
    "answering a message that has not come": (lambda given: given.answer(1, Ticket(ANN, 2), ONE), "is not open"),
    "answering twice": (lambda given: given.defer(1).answer(1, KEPT, ONE).answer(1, KEPT, ONE), "is not open"),
    "answering before deferring": (lambda given: given.answer(1, KEPT, ONE).defer(1), "is not open"),
    "answering a ticket of another server": (lambda given: given.answer(1, Ticket(BOB, 1), ONE), "is no client of this server"),
    "an effect of another kind": (lambda given: Continuation(1, peer=given.peer, effects=Effects(None, "x")), "effects must be what"),  # type: ignore[arg-type]  # so
    "answering a ticket of a server before this one, whose client had the same number": (
        lambda given: given.defer(1).answer(1, Ticket(ANN, 1, taken=-1.0), ONE),
        "is not open",
    ),
    "telling a client of another run": (lambda given: given.tell(1, attrs.evolve(ANN, run=8), ONE), "is no client of this server"),
    "answering a ticket of another run": (
        lambda given: given.defer(1).answer(1, Ticket(attrs.evolve(ANN, run=8), 1), ONE),
        "is not open, because",
    ),
    "answering a ticket of another run whose client is gone here": (
        lambda given: given.answer(1, Ticket(attrs.evolve(GONE, run=8), 1), ONE),
        "is no client of this server",
    ),
    "answering the ticket of a departure": (lambda given: given.answer(1, Ticket(GONE, 0), ONE), "is not open"),
    "answering a ticket without a peer": (lambda given: given.answer(1, Ticket(1, 1), ONE), "only a Ticket can be answered"),  # type: ignore[arg-type]  # so
    "answering no ticket": (lambda given: given.answer(1, 1, ONE), "only a Ticket can be answered, not int"),  # type: ignore[arg-type]  # so
}


@pytest.mark.parametrize("wrong", WRONG)
def test_bad_use_is_a_clear_failure_of_the_handler_that_sends_nothing(wrong: str) -> None:
    answer, text = WRONG[wrong]
    inputs: list[Input] = [Left(0.0, GONE), Came(0.0, ANN, ONE)]
    failed = fold(lambda _, given, __: answer(given.respond(1, TWO)), 0, inputs).failure()
    assert (failed.carry, failed.message) == (0, ONE)
    assert text in str(failed.error)


def test_a_departure_and_an_alarm_have_no_answer_to_defer() -> None:
    failed = fold(lambda _, given, __: given, 0, [Left(0.0, ANN)], left=lambda _, given, carry: given.defer(carry)).failure()
    assert failed.message == Left(0.0, ANN)
    assert str(failed.error) == "only the answer to a message can be deferred"


def test_a_second_answer_in_a_later_call_is_a_failure() -> None:
    def keep(_: Message, given: Continuation[Ticket | None], carry: Ticket | None) -> Continuation[Ticket | None]:
        return given.defer(given.ticket) if carry is None else given.answer(carry, carry, TWO)

    match simulate(keep, None, [Send("ann", ONE, ONE, ONE)]).result:
        case Failure(HandlerFailed(error=error)):
            assert "answer it once" in str(error)
        case other:
            pytest.fail(f"{other}")


# The wire


@given(messages(), st.integers(0, 2**40))
def test_a_mark_is_read_back_and_the_message_is_as_it_was(message: Message, number: int) -> None:
    decoder = Decoder(2**20, marks=True)
    decoder.feed(b"".join(Encoder(Limits()).marked([message], number)) + encode(message))
    marked, plain = decoder.next(), decoder.next()
    assert isinstance(marked, Message)
    assert unmarked(marked) == (message, number)
    assert plain == message


@given(media_types())
def test_a_mark_stands_last_and_behind_a_comma_if_it_is_not_alone(media_type: MediaType) -> None:
    (frame,) = Encoder(Limits()).marked([Message(media_type, b"")], 0)
    written = frame[2:-5].decode()
    assert written == f"{media_type}{',' if media_type.parameters else ';'} ipcfold=told"
    assert MediaType.of(written).unwrap() == MediaType(media_type.type, media_type.subtype, (*media_type.parameters, (MARK, "told")))


def test_a_media_type_without_room_for_a_mark_is_refused() -> None:
    for media_type in (MediaType("a", "b", (("c", "d" * 65_520),)), MediaType("a", "b", (("c", "d"),) * 64)):
        with pytest.raises(ValueError, match="needs room for one more parameter"):
            Encoder(Limits()).marked([Message(media_type, b"")], 0)


@pytest.mark.parametrize("text", ["text/plain; ipcfold=told", "text/plain; IPCFOLD=5", "a/b; c=d, ipcfold=1", "a/b; ipcfold=x; c=d"])
def test_only_a_server_may_mark_messages(text: str) -> None:
    message = Message(MediaType.of(text).unwrap(), b"")
    with pytest.raises(RefusedError) as refused:
        Encoder(Limits()).encode([message])
    assert refused.value.refusal == ReservedMessage(message)
    assert "ipcfold" in str(refused.value)
    decoder = Decoder(100)
    decoder.feed(len(text).to_bytes(2) + text.encode() + b"\0\0\0\0\xce")
    assert isinstance(decoder.next(), Broken)


@pytest.mark.parametrize("mark", ["", "x", "-1", "2", "9" * 30, "\u0661"])
def test_a_client_ends_a_connection_with_an_invalid_mark(mark: str) -> None:
    client = talking(1)
    text = f"text/plain; ipcfold={mark}".encode()
    client.receive(Signal.RECEIVED.frame + len(text).to_bytes(2) + text + b"\0\0\0\0\xce")
    assert (client.open, bool(client.broken)) == (False, True)


def talking(sent: int) -> ClientConnection:
    client = ClientConnection(heartbeat=1.0, limits=Limits(), now=0.0)
    client.receive(Signal.START.frame)
    client.send(client.encode([ONE] * sent), sent)
    return client


def marked(message: Message, number: int) -> bytes:
    return b"".join(Encoder(Limits()).marked([message], number))


def test_an_ask_waits_for_exactly_its_answer() -> None:
    client = talking(1)
    verbs = Verbs(Name("server"), client, Limits(), lambda: ConnectionLost(Name("server")))
    client.receive(Signal.RECEIVED.frame)
    ask = verbs.ask(ONE, None, None)
    next(ask)
    client.receive(marked(TWO, 0) + Signal.RECEIVED.frame)
    ask.send(0.0)
    client.receive(marked(THREE, 1))
    ask.send(0.0)
    client.receive(marked(TWO, 0) + marked(ONE, 2) + marked(ONE, 2))
    with pytest.raises(StopIteration) as done:
        ask.send(0.0)
    assert done.value.value == Success(ONE)
    assert [client.next() for _ in range(5)] == [(TWO, 0), (THREE, 1), (TWO, 0), (ONE, 2), None]


def test_a_late_answer_to_an_ask_that_timed_out_is_dropped() -> None:
    client = talking(2)
    client.disown(1)
    client.receive(Signal.RECEIVED.frame * 2 + encode(TWO) + marked(ONE, 1) + marked(THREE, 1))
    assert [client.next() for _ in range(3)] == [(TWO, 2), (THREE, 1), None]
    client.disown(2)
    client.receive(marked(ONE, 2) + marked(TWO, 0))
    assert [client.next() for _ in range(2)] == [(TWO, 0), None]


def test_a_client_remembers_a_bounded_number_of_late_answers_to_drop() -> None:
    client = talking(2**17)
    for number in range(1, 2**17):
        client.disown(number)
    client.receive(Signal.RECEIVED.frame * 2**17)
    client.receive(b"".join(marked(ONE, number) for number in (1, 2**15, 2**17 - 2**14, 2**17 - 1, 2**17)))
    assert [client.next() for _ in range(4)] == [(ONE, 1), (ONE, 2**15), (ONE, 2**17), None]


def test_told_messages_count_for_the_unread_responses() -> None:
    client = ClientConnection(heartbeat=1.0, limits=Limits(unread=1000), now=0.0)
    client.receive(Signal.START.frame + marked(ONE, 0) * 4)
    assert not client.open


def test_a_client_that_has_not_accepted_or_is_closing_is_told_nothing() -> None:
    core = ServerCore(0, name=Name("server"), heartbeat=1.0, limits=Limits(), timeout=None, now=0.0)
    end = core.connect(ANN, 0.0)
    assert isinstance(end, ServerConnection)
    size = end.outbox.size
    end.tell([b"x"], 100, 0.0)
    assert end.outbox.size == size
    end.receive(Signal.START_OK.frame, 0.0)
    core.turn(0.0, 0.0)
    end.tell([b"x"], 100, 0.0)
    assert end.outbox.size == size + 1
    end.close(0.0)
    size = end.outbox.size
    end.tell([b"x"], 1000, 0.0)
    assert end.outbox.size == size


def test_departures_are_folded_though_everything_was_closed_at_once() -> None:
    core = ServerCore(0, name=Name("server"), heartbeat=1.0, limits=Limits(), timeout=None, now=0.0, left=True)
    for peer in (ANN, BOB):
        core.connect(peer, 0.0)
    core.broken(Ending.BROKEN)
    gone = list[object]()
    while (asked := core.ask(1.0)) is not None:
        gone.append(asked[0])
        core.answered(asked[1].continue_(asked[1].carry + 1), 1.0, 1.0)
    assert gone == [Left(0.0, ANN), Left(1.0, BOB)]
    assert (core.over, core.result()) == (True, Success(2))


def test_what_a_client_is_told_after_its_connection_has_ended_is_dropped() -> None:
    core = ServerCore(0, name=Name("server"), heartbeat=1.0, limits=Limits(), timeout=None, now=0.0)
    ends = [core.connect(peer, 0.0) for peer in (ANN, BOB)]
    for end in ends:
        assert end is not None
        end.receive(Signal.START_OK.frame + encode(ONE), 0.0)
    asked = core.turn(0.0, 0.0)[0]
    assert asked is not None
    assert ends[1] is not None
    core.disconnect(ends[1])
    core.answered(asked[1].tell(1, BOB, TWO), 0.0, 0.0)
    assert core.result() == Success(1)


def test_a_client_that_waits_for_a_large_response_is_told_more_meanwhile() -> None:
    core = ServerCore(0, name=Name("server"), heartbeat=1.0, limits=Limits(unsent=1000), timeout=None, now=0.0)
    ends = [core.connect(peer, 0.0) for peer in (ANN, BOB)]
    for end in ends:
        assert end is not None
        end.receive(Signal.START_OK.frame + encode(ONE) * 100, 0.0)
    large, told, ann = Message.octets(b"x" * 5000), 0, ends[0]
    assert ann is not None
    asked = core.turn(0.0, 0.0)[0]
    while ann.hearing:  # she never reads
        assert asked is not None
        given = asked[1]
        answer = given.respond(0, large) if given.peer == ANN else given.tell(0, ANN, TWO, TWO)
        told += given.peer == BOB
        asked = core.answered(answer, 0.0, 0.0) or core.turn(0.0, 0.0)[0]
    size = len(b"".join(Encoder(Limits()).marked([TWO, TWO], 0)))
    assert ann.fault == f"it has not read {(told - 1) * size} bytes of what it was told (limits.unsent)"
    assert 1000 < (told - 1) * size <= 1000 + size


def test_the_effects_of_an_answer_are_in_order() -> None:
    given = Continuation(0, peer=ANN, number=1)
    answer = given.tell(1, BOB, ONE).defer(2).respond(3, TWO).answer(4, given.ticket, THREE).wake(5, None).stop(6)
    assert (answer.carry, answer.responses) == (6, (TWO,))
    assert answer.effects[:3] == (Tell(BOB, (ONE,)), Defer(), Answer(Ticket(ANN, 1), (THREE,), 1))
    assert answer == given.tell(9, BOB, ONE).defer(9).respond(9, TWO).answer(9, Ticket(ANN, 1), THREE).wake(9, None).stop(6)
    assert hash(answer) == hash(answer.stop(6))
    assert "Defer()" in repr(answer)


def test_thousands_of_clients_are_told_without_copies() -> None:
    answer = Continuation(0)
    for number in range(100_000):
        answer = answer.tell(0, Peer(number), ONE)
    assert len(answer.effects) == 100_000


def test_a_script_shows_what_is_told_and_answered() -> None:
    simulation = simulate(busy, START, [Connect("bob"), Send("ann", *map(Message.text, ["defer", "all", "answer"]))])
    assert [line[11:] for line in simulation.transcript if "folds" in line] == [
        line[11:]
        for line in simulation.transcript
        if "defers the answer" in line or "tells ann" in line or "answers message 1 of ann" in line
    ]
