"""Names, which end up in paths, and peers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.maybe import Nothing, Some
from returns.result import Failure, Success

from ipcfold import InvalidName, Name, Peer
from ipcfold.testing.strategies import names


@given(names())
def test_a_name_is_read_back_from_its_text(name: Name) -> None:
    assert Name.of(str(name)) == Success(name)
    assert Name.maybe(str(name)) == Some(name)


@given(st.text().filter(lambda text: not text.isascii() or not text.replace("_", "a").replace("-", "a").isalnum()))
def test_any_text_that_is_no_name_is_an_error(text: str) -> None:
    assert Name.of(text) == Failure(InvalidName(text))
    assert Name.maybe(text) == Nothing


@pytest.mark.parametrize("text", ["", ".", "..", "../a", "a/b", "a\0b", "a\n", "\na", "a b", "é", "٣", "a.sock"])
def test_no_name_reaches_out_of_the_directory(text: str) -> None:
    assert Name.of(text) == Failure(InvalidName(text))
    with pytest.raises(ValueError, match=r".+"):
        Name(text)


def test_a_wrong_name_raises_with_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="is not a name: use letters") as raised:
        Name("a b")
    assert str(raised.value) == str(Name.of("a b").failure())


def test_names_have_an_order() -> None:
    assert sorted([Name("b"), Name("a")]) == [Name("a"), Name("b")]


def test_two_connections_of_one_process_are_two_peers() -> None:
    assert Peer(1, pid=7, uid=1, gid=1) != Peer(2, pid=7, uid=1, gid=1)
