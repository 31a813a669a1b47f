"""The combinators of handlers keep their laws, and nest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcfold import Came, Continuation, Handler, MediaType, Message, Outcome, Peer, fold
from ipcfold.effects import Rescued
from ipcfold.events import Event, Folded
from ipcfold.handlers import Remembered, once, rescue, route
from ipcfold.testing import Scripted, ScriptedError, Send, handlers, messages, simulate

Log = tuple[Message, ...]
EMPTY: Log = ()
ONE = Message.text("one")
SORRY = Message.text("sorry")


def keep(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    return continuation.respond((*carry, message), message, Message.text(str(len(carry))))


@given(handlers(), st.lists(messages()))
def test_a_rescue_never_changes_the_carry_on_failure_and_nothing_otherwise(handler: Scripted, said: list[Message]) -> None:
    for rescued in (rescue(handler, lambda _: SORRY), rescue(handler, SORRY)):
        for message in said:
            start = Continuation(tuple(said), peer=Peer(1), now=3.0)
            answer = rescued(message, start, start.carry)
            try:
                plain = handler(message, start, start.carry)
            except ScriptedError as error:
                assert (answer.carry, answer.responses, answer.outcome) == (start.carry, (SORRY,), Outcome.CONTINUE)
                (effect,) = answer.effects
                assert isinstance(effect, Rescued)
                assert effect.error.args == error.args  # noqa: PT017 - what is raised is compared, not expected
            else:
                assert answer == plain


def test_an_observer_is_told_what_was_rescued() -> None:
    def fail(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        raise KeyError(message, continuation, carry)

    events = list[Event]()
    simulation = simulate(rescue(fail, SORRY), 7, [Send("ann", ONE, ONE)], observe=events.append)
    assert simulation.carry == 7
    assert simulation.clients["ann"].responses == (SORRY, SORRY)
    told = [effect for event in events if isinstance(event, Folded) for effect in event.effects]
    assert [type(effect.error) for effect in told if isinstance(effect, Rescued)] == [KeyError, KeyError]
    assert "rescues KeyError(" in str(simulation)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_rescue_lets_an_interrupt_pass(error: type[BaseException]) -> None:
    def fail(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        raise error

    with pytest.raises(error):
        rescue(fail, SORRY)(ONE, Continuation(0), 0)


@given(st.lists(st.tuples(messages(), st.none() | st.sampled_from(["a", "b", "c", "\udc80 \u0661;"]))), st.integers(1, 4))
def test_a_message_with_an_identity_is_folded_once_while_it_is_remembered(said: list[tuple[Message, str | None]], remember: int) -> None:
    sent = [message if key is None else message.identified(key) for message, key in said]
    known, expected = list[str](), list[Message]()
    for (_, key), message in zip(said, sent, strict=True):
        if key is None or key not in known:
            expected.append(message)
            known = [*known, key][-remember:] if key is not None else known
    folded = fold(once(keep, remember=remember), Remembered(EMPTY), sent).unwrap()
    assert folded.carry.carry == tuple(expected)
    assert [identity for _, identity in folded.carry.responses] == known


@given(st.lists(messages(), min_size=1))
def test_once_is_idempotent(said: list[Message]) -> None:
    sent = [message.identified(str(number)) for number, message in enumerate(said)]
    first = fold(once(keep), Remembered(EMPTY), sent).unwrap()
    again = fold(once(keep), first.carry, sent).unwrap()
    assert (again.carry, again.responses) == (first.carry, first.responses)


@given(st.lists(messages()))
def test_once_changes_nothing_for_messages_without_an_identity(said: list[Message]) -> None:
    plain = fold(keep, EMPTY, said).unwrap()
    assert fold(once(keep), Remembered(EMPTY), said).unwrap() == plain.carrying(Remembered(plain.carry))


def test_an_identity_counts_for_each_user_separately() -> None:
    message = ONE.identified("x")
    inputs = [Came(0.0, Peer(number, 1, uid, uid), message) for number, uid in ((1, 5), (2, 6), (3, 5))]
    assert len(fold(once(keep), Remembered(EMPTY), inputs).unwrap().carry.carry) == 2


def test_a_client_that_repeats_a_message_over_a_new_connection_gets_the_same_responses() -> None:
    message = ONE.identified("x")
    simulation = simulate(once(keep), Remembered(EMPTY), [Send("ann", message), Send("bob", ONE, message)])
    assert simulation.clients["bob"].answers[1] == simulation.clients["ann"].answers[0]


@given(messages(), st.text(), st.text())
def test_a_message_has_the_last_identity_that_it_was_given(message: Message, first: str, last: str) -> None:
    identified = message.identified(first).identified(last)
    assert identified.identity.unwrap() == last
    assert identified.content == message.content
    assert message.identified(last) == identified


def test_at_least_one_identity_is_remembered() -> None:
    with pytest.raises(ValueError, match="at least one identity must be remembered, not 0"):
        once(keep, remember=0)


@given(messages(), st.lists(messages()))
def test_each_message_goes_to_the_handler_of_its_media_type(message: Message, others: list[Message]) -> None:
    media_type = message.media_type
    essence = MediaType(media_type.type, media_type.subtype)
    seen = list[str]()

    def noting(name: str) -> Handler[Log]:
        def note(_: Message, continuation: Continuation[Log], __: Log) -> Continuation[Log]:
            seen.append(name)
            return continuation

        return note

    routed = route({str(media_type): noting("exact"), essence: noting("kind")}, noting("otherwise"))
    for each in (message, *others):
        routed(each, Continuation(EMPTY), EMPTY)
        if each.media_type == media_type and media_type.parameters:
            wanted = "exact"
        elif (each.media_type.type, each.media_type.subtype) == (media_type.type, media_type.subtype):
            wanted = "kind"
        else:
            wanted = "otherwise"
        assert seen[-1] == wanted


def test_a_route_with_parameters_does_not_compare_the_identity() -> None:
    json = MediaType.of("application/json; v=2").unwrap()

    def other(_: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return continuation.continue_(carry)

    message, unrelated = Message(json, b"{}"), Message(MediaType.of("a/b; v=2").unwrap(), b"")
    folded = fold(once(route({json: keep}, other)), Remembered(EMPTY), [message, message.identified("x"), unrelated]).unwrap()
    assert folded.carry.carry == (message, message.identified("x"))
    exactly = message.identified("x").media_type
    assert fold(route({exactly: keep}, other), EMPTY, [message, message.identified("x")]).unwrap().carry == (message.identified("x"),)


def test_a_route_of_no_media_type_is_refused() -> None:
    with pytest.raises(ValueError, match="'plain' is not a media type"):
        route({"plain": keep}, keep)


def test_combinators_nest() -> None:
    def fail(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        raise KeyError(message, continuation, carry)

    handler = once(rescue(route({"text/plain": keep}, fail), SORRY), remember=2)
    sent = [ONE.identified("a"), Message.octets(b"x").identified("b"), Message.octets(b"x").identified("b")]
    folded = fold(handler, Remembered(EMPTY), sent).unwrap()
    assert (folded.carry.carry, folded.responses[2:]) == ((sent[0],), (SORRY, SORRY))
