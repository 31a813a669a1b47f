"""Strategies of Hypothesis for values of the protocol, streams of bytes, handlers and scripts."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters, digits
from typing import Final, Protocol, TypeVar, final

import attrs
from hypothesis import strategies as st
from returns.maybe import Nothing
from returns.result import Result

from ipcfold.continuation import Continuation, Outcome
from ipcfold.core.wire import Signal, encode, refusal
from ipcfold.limits import Limits
from ipcfold.message import MediaType, Message
from ipcfold.peer import Name
from ipcfold.testing.script import Close, Connect, Elapse, Hold, Kill, Release, Send, Step, Write

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

_TOKEN_CHARACTERS: Final = "!#$%&'*+-.^_`|~" + digits + ascii_letters
_SIGNALS: Final = [signal.content for signal in Signal]
_CLIENTS: Final = ("ann", "bob", "cat")


def names() -> st.SearchStrategy[Name]:
    """Names of servers."""
    return st.text(ascii_letters + digits + "_-", min_size=1, max_size=30).map(Name)


def tokens() -> st.SearchStrategy[str]:
    """Types, subtypes, and names of parameters."""
    return st.text(_TOKEN_CHARACTERS, min_size=1, max_size=20)


def parameter_values() -> st.SearchStrategy[str]:
    """Values of parameters, with and without the need for quotes."""
    return st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.just("\t"), max_size=20)


def media_types() -> st.SearchStrategy[MediaType]:
    """Media types, with parameters and without."""
    parameters = st.lists(st.tuples(tokens(), parameter_values()), max_size=3).map(tuple)
    return st.builds(MediaType, tokens(), tokens(), parameters)


def messages() -> st.SearchStrategy[Message]:
    """Messages that may be sent. Some nearly equal a signal of the protocol, but none equals one."""
    contents = st.binary(max_size=80) | st.sampled_from([*_SIGNALS, b"\xce", b""])
    return st.one_of(
        st.builds(Message, media_types(), contents),
        st.builds(Message.octets, contents),
        st.text(max_size=40).map(Message.text),
    ).filter(lambda message: refusal(message, Limits()) == Nothing)


class Encodes(Protocol[T_contra]):
    """Encodes values, as a codec does."""

    def encode(self, value: T_contra, /) -> Result[Message, object]: ...


def encoded(codec: Encodes[T], values: st.SearchStrategy[T]) -> st.SearchStrategy[Message]:
    """Messages of these values. A failing example shows the values."""

    def encode(value: T) -> Message:
        return codec.encode(value).unwrap()

    return st.builds(encode, values)


def frames() -> st.SearchStrategy[bytes]:
    """Whole frames of messages and of signals, as bytes of the wire."""
    return messages().map(encode) | st.sampled_from([signal.frame for signal in Signal])


def broken_frames() -> st.SearchStrategy[bytes]:
    """Frames with one error: a wrong end mark, or an invalid media type."""

    def wrong_mark(message: Message, mark: int) -> bytes:
        return encode(message)[:-1] + bytes([mark])

    def wrong_type(media_type: bytes) -> bytes:
        return len(media_type).to_bytes(2) + media_type + b"\x00\x00\x00\x00\xce"

    no_types = [b"", b"text", b"text/", b"/plain", b"text /plain", b"t\xe9xt/plain", b"a/b; c"]
    marks = st.integers(0, 255).filter(lambda mark: mark != 0xCE)
    return st.builds(wrong_mark, messages(), marks) | st.builds(wrong_type, st.sampled_from(no_types))


def cuts(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """Ways in which a stream may cut these bytes into single reads."""
    positions = st.lists(st.integers(0, len(data)), max_size=12).map(sorted)
    return positions.map(lambda found: [data[start:end] for start, end in zip([0, *found], [*found, len(data)], strict=True)])


def chunks() -> st.SearchStrategy[list[int]]:
    """Sizes of reads for `simulate`, which cut all streams of a script."""
    return st.lists(st.integers(1, 100), max_size=4)


@final
@attrs.frozen
class Answer:
    """The answer of a scripted handler to one message."""

    responses: tuple[Message, ...] = ()
    outcome: Outcome = Outcome.CONTINUE


@final
@attrs.frozen
class Fail:
    """A scripted handler raises a `ScriptedError`."""


@final
class ScriptedError(Exception):
    """The exception of a scripted handler."""


@final
@attrs.frozen
class Scripted:
    """A handler that gives these answers, one a message, and then only continues. Its carry is the folded messages; the first is `()`."""

    answers: tuple[Answer | Fail, ...]

    def __call__(
        self, message: Message, continuation: Continuation[tuple[Message, ...]], carry: tuple[Message, ...]
    ) -> Continuation[tuple[Message, ...]]:
        """Fold one message."""
        answer = self.answers[len(carry)] if len(carry) < len(self.answers) else Answer()
        if isinstance(answer, Fail):
            raise ScriptedError(f"the script says that message {len(carry) + 1} fails")
        responded = continuation.respond((*carry, message), *answer.responses)
        match answer.outcome:
            case Outcome.CONTINUE:
                return responded
            case Outcome.CLOSE:
                return responded.close(responded.carry)
            case Outcome.STOP:
                return responded.stop(responded.carry)


def handlers() -> st.SearchStrategy[Scripted]:
    """Handlers for tests of programs that talk to servers. They respond, close, stop and fail."""
    answers = st.builds(Answer, st.lists(messages(), max_size=3).map(tuple), st.sampled_from(Outcome))
    return st.lists(answers | st.builds(Fail), max_size=8).map(lambda told: Scripted(tuple(told)))


def scripts(
    said: st.SearchStrategy[Message] | None = None, *, clients: Sequence[str] = _CLIENTS, max_size: int = 20
) -> st.SearchStrategy[list[Step]]:
    """Scripts for `simulate`. The clients send messages of the strategy `said`, by default any.

    Clients are also held and released, close, are killed in the middle of a frame, and write broken frames. Time passes. A script
    never ends the server: append a `Shutdown` for that.
    """
    client = st.sampled_from(list(clients))
    what = messages() if said is None else said
    send = st.one_of(*(st.builds(Send, client, *[what] * count) for count in (1, 2, 3)))
    trouble = st.one_of(
        st.builds(Connect, client),
        st.builds(Hold, client),
        st.builds(Release, client),
        st.builds(Close, client),
        st.builds(Kill, client, st.integers(0, 60)),
        st.builds(Write, client, broken_frames()),
        st.builds(Elapse, st.sampled_from([0.5, 1.0, 10.0, 100.0])),
    )
    step: st.SearchStrategy[Step] = st.one_of(send, send, trouble)
    return st.lists(step, max_size=max_size)
