"""What the strategies draw is what they say."""

from hypothesis import given
from hypothesis import strategies as st

from ipcfold import Continuation, Limits, MediaType, Message, Name, Outcome, fold
from ipcfold.core.wire import Broken, Decoder, Encoder
from ipcfold.testing import Elapse, Fail, Scripted, ScriptedError, Shutdown, Step
from ipcfold.testing.strategies import broken_frames, chunks, cuts, frames, handlers, media_types, messages, names, scripts

NOTHING: tuple[Message, ...] = ()


def decoded(data: bytes) -> object:
    decoder = Decoder(Limits().message)
    decoder.feed(data)
    return decoder.next()


@given(names(), media_types(), messages())
def test_values_are_what_their_constructors_take(name: Name, media_type: MediaType, message: Message) -> None:
    assert Name.of(str(name)).unwrap() == name
    assert MediaType.of(str(media_type)).unwrap() == media_type
    assert decoded(b"".join(Encoder(Limits()).encode([message]))) == message


@given(frames(), broken_frames())
def test_frames_are_whole_and_broken_ones_are_none(frame: bytes, broken: bytes) -> None:
    assert decoded(frame[:-1]) is None
    assert not isinstance(decoded(frame), Broken | None)
    assert isinstance(decoded(broken), Broken)


@given(st.data(), st.binary(), chunks())
def test_cuts_lose_nothing(data: st.DataObject, content: bytes, sizes: list[int]) -> None:
    assert b"".join(data.draw(cuts(content))) == content
    assert all(size > 0 for size in sizes)


@given(handlers(), st.lists(messages(), max_size=10))
def test_a_scripted_handler_does_as_it_is_told(handler: Scripted, said: list[Message]) -> None:
    last = fold(handler, NOTHING, said)
    told = handler.answers[: len(said)]
    until = next((at for at, answer in enumerate(told) if isinstance(answer, Fail) or answer.outcome is not Outcome.CONTINUE), len(told))
    if until < len(told) and isinstance(told[until], Fail):
        failed = last.failure()
        assert isinstance(failed.error, ScriptedError)
        assert failed.carry == tuple(said[:until])
    else:
        responded = [answer.responses for answer in told[: until + 1] if not isinstance(answer, Fail)]
        assert last.unwrap().responses == sum(responded, ())


@given(scripts(st.just(Message.text("hello")), clients=["zoe"]), scripts())
def test_scripts_are_about_these_clients_and_leave_the_server_up(chosen: list[Step], any_: list[Step]) -> None:
    assert {step.client for step in chosen if not isinstance(step, Elapse | Shutdown)} <= {"zoe"}
    assert not any(isinstance(step, Shutdown) for step in any_)


def test_a_scripted_handler_goes_on_when_it_is_told_nothing_more() -> None:
    answer = Scripted(())(Message.text("x"), Continuation(NOTHING), NOTHING)
    assert (answer.carry, answer.responses, answer.outcome) == ((Message.text("x"),), (), Outcome.CONTINUE)
