"""The one home of strategies: what the protocol's values and streams can look like."""

from string import ascii_letters, digits

from hypothesis import strategies as st
from returns.maybe import Nothing

from ipcfold import Limits, MediaType, Message, Name
from ipcfold.core.frame import Frame, Signal, encode, refusal

TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~" + digits + ascii_letters


def names() -> st.SearchStrategy[Name]:
    return st.text(ascii_letters + digits + "_-", min_size=1, max_size=30).map(Name)


def tokens() -> st.SearchStrategy[str]:
    return st.text(TOKEN_CHARACTERS, min_size=1, max_size=20)


def parameter_values() -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.just("\t"), max_size=20)


def media_types() -> st.SearchStrategy[MediaType]:
    parameters = st.lists(st.tuples(tokens(), parameter_values()), max_size=3).map(tuple)
    return st.builds(MediaType, tokens(), tokens(), parameters)


def signals() -> st.SearchStrategy[Signal]:
    return st.sampled_from(Signal)


def messages() -> st.SearchStrategy[Message]:
    """Any message that may be sent: those equal to a signal are not among them."""
    contents = st.binary(max_size=80) | signals().map(lambda signal: signal.content) | st.sampled_from([b"\xce", b""])
    return st.one_of(
        st.builds(Message, media_types(), contents),
        st.builds(Message.octets, contents),
        st.text(max_size=40).map(Message.text),
    ).filter(lambda message: refusal(message, Limits()) == Nothing)


def frames() -> st.SearchStrategy[Frame]:
    return signals() | messages()


def encoded(frame: Frame) -> bytes:
    return frame.frame if isinstance(frame, Signal) else encode(frame)


def cuts(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """Ways a stream may cut these bytes into what single reads return."""
    positions = st.lists(st.integers(0, len(data)), max_size=12).map(sorted)
    return positions.map(lambda found: [data[start:end] for start, end in zip([0, *found], [*found, len(data)], strict=True)])


def broken_frames() -> st.SearchStrategy[bytes]:
    """Bytes that are a frame but for one thing: the end mark, the media type."""

    def wrong_mark(message: Message, mark: int) -> bytes:
        return encode(message)[:-1] + bytes([mark])

    def wrong_type(media_type: bytes) -> bytes:
        return len(media_type).to_bytes(2) + media_type + b"\x00\x00\x00\x00\xce"

    no_types = [b"", b"text", b"text/", b"/plain", b"text /plain", b"t\xe9xt/plain", b"a/b; c"]
    marks = st.integers(0, 255).filter(lambda mark: mark != 0xCE)
    return st.builds(wrong_mark, messages(), marks) | st.builds(wrong_type, st.sampled_from(no_types))
