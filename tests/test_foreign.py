"""Messages, media types and names of subclasses of `str` and `bytes`: they become exact, and no method of a subclass runs."""

import pickle

import attrs
from hypothesis import given
from hypothesis import strategies as st
from returns.maybe import Some
from returns.result import Success

from ipcfold import InvalidMediaType, InvalidName, MediaType, Message, Name
from ipcfold.message import OCTET_STREAM, TEXT_PLAIN
from ipcfold.testing.strategies import media_types, names
from tests.foreign import ForeignBytes, ForeignText


@given(st.binary(), media_types())
def test_a_content_of_a_subclass_of_bytes_becomes_bytes(content: bytes, media_type: MediaType) -> None:
    foreign = ForeignBytes(content)
    for message in (
        Message(media_type, foreign),
        Message.of(str(media_type), foreign).unwrap(),
        attrs.evolve(Message(media_type, b"other"), content=foreign),
        pickle.loads(pickle.dumps(Message(media_type, foreign))),  # noqa: S301 - pickled by this test
    ):
        assert type(message.content) is bytes
        assert message == Message(media_type, content)
        assert hash(message) == hash(Message(media_type, content))
        assert repr(message) == repr(Message(media_type, content))
    assert Message.octets(foreign) == Message(OCTET_STREAM, content)


@given(st.binary())
def test_exact_bytes_are_not_copied(content: bytes) -> None:
    assert Message.octets(content).content is content


@given(st.text())
def test_a_text_of_a_subclass_is_encoded_without_its_methods(content: str) -> None:
    assert Message.text(ForeignText(content)) == Message.text(content)
    assert Message.of(ForeignText("text/plain"), ForeignText(content)) == Success(Message(TEXT_PLAIN, content.encode()))


@given(media_types())
def test_a_media_type_of_subclasses_of_str_has_exact_parts(media_type: MediaType) -> None:
    parameters = tuple((ForeignText(name), ForeignText(value)) for name, value in media_type.parameters)
    made = MediaType(ForeignText(media_type.type), ForeignText(media_type.subtype), parameters)
    read = MediaType.of(ForeignText(str(media_type))).unwrap()
    for found in (made, read):
        assert found == media_type
        assert hash(found) == hash(media_type)
        assert {type(part) for part in (str(found), found.type, found.subtype, *sum(found.parameters, ()))} == {str}


def test_a_parameter_is_found_under_a_name_of_a_subclass() -> None:
    assert MediaType.of("text/plain; a=b").unwrap().parameter(ForeignText("A")) == Some("b")


@given(names())
def test_a_name_of_a_subclass_of_str_is_exact(name: Name) -> None:
    for found in (Name(ForeignText(name.value)), Name.of(ForeignText(name.value)).unwrap()):
        assert type(found.value) is str
        assert found == name


def test_the_errors_carry_exact_texts() -> None:
    assert MediaType.of(ForeignText("no type")).failure() == InvalidMediaType("no type")
    assert str(Name.of(ForeignText("a b")).failure()) == str(InvalidName("a b"))
