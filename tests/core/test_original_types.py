"""Media types of Innmind/IPC: ipcfold reads all that it writes, and writes in its spelling all that it can read."""

import re
from string import ascii_letters, digits

from hypothesis import given
from hypothesis import strategies as st

from ipcfold.core.wire import Decoder, Encoder, Signal, encode
from ipcfold.limits import Limits
from ipcfold.message import TEXT_PLAIN, MediaType, Message

TOP_LEVELS = ("application", "audio", "example", "font", "image", "message", "model", "multipart", "text", "video")
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.-]{0,126}"  # RFC 6838, section 4.2
ONE_PARAMETER_AT_MOST = re.compile(rf"(?:{'|'.join(TOP_LEVELS)})/{_NAME}(?:\+{_NAME})?(?:; {_NAME}=[A-Za-z0-9_.-]+)?")


def names() -> st.SearchStrategy[str]:
    return st.builds(str.__add__, st.sampled_from(ascii_letters + digits), st.text(ascii_letters + digits + "!#$&^_.-", max_size=20))


def parameters(most: int) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    return st.lists(st.tuples(names(), st.text(ascii_letters + digits + "_.-", min_size=1, max_size=20)), max_size=most).map(tuple)


def subtypes() -> st.SearchStrategy[str]:
    return names() | st.builds("{}+{}".format, names(), names())


def frame(media_type: str, content: bytes) -> bytes:
    return len(media_type).to_bytes(2, "big") + media_type.encode("ascii") + len(content).to_bytes(4, "big") + content + b"\xce"


@given(st.sampled_from(TOP_LEVELS), subtypes(), parameters(64), st.binary(max_size=20))
def test_a_frame_of_the_original_is_a_message_of_that_type(
    kind: str, subtype: str, found: tuple[tuple[str, str], ...], content: bytes
) -> None:
    text = f"{kind}/{subtype}" + ("; " if found else "") + ", ".join(f"{name}={value}" for name, value in found)
    decoder = Decoder(100)
    decoder.feed(frame(text, b"+" + content))
    assert decoder.next() == Message(MediaType(kind, subtype, found), b"+" + content)
    assert decoder.next() is None


@given(st.sampled_from(TOP_LEVELS), subtypes(), parameters(1))
def test_a_type_with_one_parameter_at_most_is_written_as_the_original_reads_it(
    kind: str, subtype: str, found: tuple[tuple[str, str], ...]
) -> None:
    (sent,) = Encoder(Limits()).encode([Message(MediaType(kind, subtype, found), b"+")])
    written = sent[2:-6].decode("ascii")
    assert ONE_PARAMETER_AT_MOST.fullmatch(written)
    assert sent == frame(written, b"+")


@given(st.sampled_from(TOP_LEVELS), subtypes(), parameters(1), st.integers(0, 2**40))
def test_a_mark_on_a_type_with_one_parameter_at_most_is_one_more_as_the_original_writes_it(
    kind: str, subtype: str, found: tuple[tuple[str, str], ...], number: int
) -> None:
    message = Message(MediaType(kind, subtype, found), b"+")
    (plain,), (marked,) = Encoder(Limits()).encode([message]), Encoder(Limits()).marked([message], number)
    written = plain[2:-6].decode("ascii")
    assert ONE_PARAMETER_AT_MOST.fullmatch(written)
    assert marked == frame(f"{written}{',' if found else ';'} ipcfold={number or 'told'}", b"+")


def test_a_message_with_several_parameters_is_not_a_signal() -> None:
    decoder = Decoder(100)
    decoder.feed(frame("text/plain; charset=utf-8, format=flowed", Signal.CLOSE.content))
    parameters = (("charset", "utf-8"), ("format", "flowed"))
    assert decoder.next() == Message(MediaType("text", "plain", parameters), Signal.CLOSE.content)


def test_a_list_of_media_types_breaks_the_stream() -> None:
    decoder = Decoder(100)
    decoder.feed(frame("text/plain; a=b, text/html", b"") + encode(Message(TEXT_PLAIN, b"later")))
    assert "is not a media type" in str(decoder.next())
