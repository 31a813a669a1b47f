"""Every error is a frozen value whose text is one sentence with the facts in it."""

from pathlib import Path
from typing import get_args

import attrs
import pytest

import ipcfold
from ipcfold import (
    ConnectionClosed,
    ConnectionDropped,
    ConnectionLost,
    ConnectionRefused,
    DirectoryUnusable,
    HandlerFailed,
    Interrupted,
    InUse,
    InvalidMediaType,
    InvalidName,
    ListenError,
    Message,
    MessageTooLarge,
    Name,
    NameTaken,
    NoServer,
    PathTooLong,
    Peer,
    PeerUntrusted,
    ProcessClosed,
    ProtocolBroken,
    ReservedMessage,
    SystemFailure,
    TimedOut,
    Unacknowledged,
    UnreadExceeded,
    UsedAfterFork,
)

NAME, PATH, PEER = Name("printer"), Path("/run/ipc/printer.sock"), Peer(3, 4711, 1001, 1002)

EXAMPLES: list[tuple[object, list[str]]] = [
    (InvalidName("a b"), ["'a b'"]),
    (InvalidMediaType("text"), ["'text'"]),
    (MessageTooLarge(10, 9), ["10", "9"]),
    (ReservedMessage(Message.text("innmind/ipc:heartbeat")), ["innmind/ipc:heartbeat"]),
    (DirectoryUnusable(PATH.parent, "it is missing"), ["/run/ipc", "it is missing"]),
    (PathTooLong(PATH, 107), ["107", str(PATH)]),
    (NameTaken(NAME, PATH, 4711), ["printer", "4711", str(PATH)]),
    (NameTaken(NAME, PATH, 0), ["printer", "another process", str(PATH)]),
    (NoServer(NAME, PATH), ["printer", str(PATH)]),
    (PeerUntrusted(NAME, PEER), ["printer", "4711", "1001"]),
    (ConnectionRefused(NAME), ["printer"]),
    (TimedOut(NAME, 0.5, "a response of"), ["printer", "0.5 s", "a response of"]),
    (TimedOut(NAME, 0.5, "the response of", 1), ["printer", "0.5 s", "was folded"]),
    (ConnectionClosed(NAME), ["printer"]),
    (ConnectionLost(NAME), ["printer"]),
    (ConnectionDropped(NAME, 4711, 99), ["printer", "4711", "99", "limits.message"]),
    (Interrupted(NAME), ["printer", "connect again"]),
    (InUse(NAME), ["printer", "another thread"]),
    (ProtocolBroken(NAME, "no end mark"), ["printer", "no end mark"]),
    (UnreadExceeded(NAME, 100), ["printer", "100"]),
    (ProcessClosed(NAME), ["printer"]),
    (UsedAfterFork(NAME, 4711), ["printer", "4711"]),
    (SystemFailure("lock", PATH, "No space left on device"), ["lock", str(PATH), "No space left on device"]),
    (Unacknowledged(2, 5, ConnectionClosed(NAME)), ["2 of 5", "printer"]),
    (HandlerFailed(7, Message.text("ping"), KeyError("key")), ["KeyError", "key"]),
]


@pytest.mark.parametrize(("error", "facts"), EXAMPLES, ids=lambda example: type(example).__name__)
def test_the_text_is_one_sentence_with_the_facts(error: object, facts: list[str]) -> None:
    text = str(error)
    assert all(fact in text for fact in facts)
    assert text.strip() == text
    assert "\n" not in text
    assert not text.endswith(".")


def test_every_error_has_an_example_and_is_a_frozen_value() -> None:
    shown = {type(error) for error, _ in EXAMPLES}
    for union in ("ConnectError", "SendError", "ReceiveError", "AskError", "CloseError", "Ended"):
        assert set(get_args(getattr(ipcfold, union))) <= shown
    attribute = "any"
    for error, _ in EXAMPLES:
        assert attrs.has(type(error))
        assert not isinstance(error, BaseException)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(error, attribute, None)


def test_listen_error_takes_the_type_of_the_carry() -> None:
    assert HandlerFailed[int] in get_args(ListenError[int])  # type: ignore[misc]  # mypy knows it as a type only
