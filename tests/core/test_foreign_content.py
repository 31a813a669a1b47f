"""An inexact message never corrupts the stream: the encoder copies it or refuses it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcfold.core.wire import Encoder, RefusedError, Signal, encode
from ipcfold.errors import MessageTooLarge
from ipcfold.limits import Limits
from ipcfold.message import OCTET_STREAM, TEXT_PLAIN, MediaType, Message
from tests.foreign import ForeignBytes, LongBytes

FOREIGN = st.sampled_from([ForeignBytes, LongBytes])


def smuggled(message: Message, **fields: object) -> Message:
    """A message with these fields, past its constructor."""
    copy = Message(message.media_type, message.content)
    for name, value in fields.items():
        object.__setattr__(copy, name, value)
    return copy


@given(st.binary() | st.just(b"x" * 2**17), FOREIGN)
def test_the_frame_of_a_subclass_of_bytes_is_that_of_its_bytes(content: bytes, foreign: type[bytes]) -> None:
    right = Message.octets(content)
    for message in (Message.octets(foreign(content)), smuggled(right, content=foreign(content))):
        pieces = Encoder(Limits()).encode([message])
        assert {type(piece) for piece in pieces} == {bytes}
        assert b"".join(pieces) == encode(right)


@given(st.sampled_from(Signal), FOREIGN)
def test_a_signal_of_a_subclass_of_bytes_is_refused(signal: Signal, foreign: type[bytes]) -> None:
    for message in (Message(TEXT_PLAIN, foreign(signal.content)), smuggled(Message.text(""), content=foreign(signal.content))):
        with pytest.raises(RefusedError):
            Encoder(Limits()).encode([message])


def test_the_limit_counts_the_bytes_of_a_subclass() -> None:
    message = smuggled(Message.octets(b""), content=ForeignBytes(b"x" * 11))
    with pytest.raises(RefusedError) as raised:
        Encoder(Limits(message=10)).encode([message])
    assert raised.value.refusal == MessageTooLarge(11, 10)
    assert Encoder(Limits(message=10)).encode([Message.octets(LongBytes(b"x" * 10))])


@pytest.mark.parametrize("content", [bytearray(b"a"), memoryview(b"a"), "a", None, [97]])
def test_the_encoder_refuses_a_content_that_is_not_bytes(content: bytes) -> None:
    with pytest.raises(TypeError, match=f"not a Message of MediaType and {type(content).__name__}"):
        Encoder(Limits()).encode([Message(OCTET_STREAM, content)])


def test_subclasses_of_messages_and_media_types_are_refused() -> None:
    media_type = type("OtherType", (MediaType,), {"__str__": lambda _: "text/plain\0"})("text", "plain")
    message = type("OtherMessage", (Message,), {})(TEXT_PLAIN, b"")
    for wrong in (Message(media_type, b""), message):
        with pytest.raises(TypeError, match="Other"):
            Encoder(Limits()).encode([wrong])
