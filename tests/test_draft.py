"""Values that were made as drafts are those that their classes make."""

import pickle

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Success

from ipcfold import Continuation, Message, Outcome, Peer
from ipcfold.continuation import continued
from ipcfold.message import message_of
from ipcfold.result import success
from ipcfold.testing import messages

PEERS = st.builds(Peer, st.integers(), st.integers())


@given(messages())
def test_a_drafted_message_is_a_message(message: Message) -> None:
    drafted = message_of(message.media_type, message.content)
    assert (type(drafted), drafted, hash(drafted)) == (Message, message, hash(message))
    assert pickle.loads(pickle.dumps(drafted)) == message  # noqa: S301 - of our own making
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        drafted.content = b""  # type: ignore[misc]  # it is frozen


@given(st.integers(), st.lists(messages(), max_size=2).map(tuple), st.sampled_from(Outcome), PEERS, st.floats(0, 9), st.integers())
def test_a_drafted_continuation_is_a_continuation(
    carry: int, responses: tuple[Message, ...], outcome: Outcome, peer: Peer, now: float, number: int
) -> None:
    drafted = continued(carry, responses, outcome, peer, (now, number, None))
    assert type(drafted) is Continuation
    assert drafted == Continuation(carry, responses, outcome, peer, now, number, None)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        drafted.carry = 1  # type: ignore[misc]  # it is frozen


@given(st.integers() | st.text())
def test_a_drafted_success_is_a_success(value: object) -> None:
    drafted = success(value)
    assert (type(drafted), drafted, drafted.unwrap()) == (Success, Success(value), value)
    match drafted:
        case Success(inner):
            assert inner == value
