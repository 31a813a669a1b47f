"""Every error is a frozen value whose text is one sentence with the facts in it; the sentences are public."""

from pathlib import Path
from typing import get_args

import attrs
import pytest

import ipcfold
from ipcfold import HandlerFailed, InvalidMediaType, InvalidName, Message, Name, Peer, errors
from ipcfold.errors import brokers

NAME, PATH, PEER = Name("printer"), Path("/run/ipc/printer.sock"), Peer(3, 4711, 1001, 1002)

AT = "/run/ipc/printer.sock"

EXAMPLES: list[tuple[attrs.AttrsInstance, str]] = [
    (InvalidName("a b"), "'a b' is not a name: use letters, digits, '_' and '-', at least one of them"),
    (InvalidMediaType("text"), "'text' is not a media type: write it as type/subtype, then '; name=value' for each parameter"),
    (
        InvalidMediaType("x" * 100),  # a peer's text does not flood a log
        f"'{'x' * 80}' is not a media type: write it as type/subtype, then '; name=value' for each parameter",
    ),
    (errors.MessageTooLarge(10, 9), "a message of 10 bytes is over the limit of 9: split it, or raise limits.message on both ends"),
    (
        errors.ReservedMessage(Message.text("innmind/ipc:heartbeat")),
        "a message of b'innmind/ipc:heartbeat' as text/plain is a signal of the protocol: use another media type or content",
    ),
    (errors.DirectoryUnusable(PATH.parent, "it is missing"), "the directory /run/ipc cannot be used: it is missing"),
    (errors.PathTooLong(PATH, 107), f"the path {AT} is longer than the 107 bytes a socket may have: use a shorter directory or name"),
    (errors.NameTaken(NAME, PATH, 4711), f"the name 'printer' is held by process 4711 at {AT}: end that server first, or use another name"),
    (errors.NameTaken(NAME, PATH, 0), f"the name 'printer' is held by another process at {AT}: end that server first, or use another name"),
    (errors.NoServer(NAME, PATH), f"nobody listens under 'printer' at {AT}: start its server, or use wait to wait for it"),
    (
        errors.PeerUntrusted(NAME, PEER),
        (
            "the server 'printer' is process 4711 of user 1001, who is not trusted: "
            "run it as the same user, or allow that one with IPC(trust=...)"
        ),
    ),
    (
        errors.ConnectionRefused(NAME),
        (
            "the server 'printer' ended the connection before the greeting: "
            "it is at limits.connections, is ending, or does not trust this user; use wait to try again"
        ),
    ),
    (
        errors.TimedOut(NAME, 0.5, "a response of"),
        "a response of 'printer' did not come within 0.5 s: allow more time, or look at what that server does",
    ),
    (
        errors.TimedOut(NAME, 0.5, "the response of", 1),
        "the response of 'printer' did not come within 0.5 s, though the message was folded: see whether the handler responds to it",
    ),
    (errors.ConnectionClosed(NAME), "the server 'printer' closed this connection: connect again if there is more to say"),
    (
        errors.ConnectionLost(NAME),
        (
            "the server 'printer' ended the connection without closing it: it was killed, or another implementation "
            "rejected the message; check that the server runs, and connect again"
        ),
    ),
    (
        errors.ConnectionDropped(NAME, 4711, 99),
        (
            "the server 'printer' dropped this connection, and process 4711 still has the name: a message (the largest sent has 99 bytes) "
            "is over limits.message there, or was under way for longer than limits.frame, or this end did not read for as long, or did not "
            "read what it was told (limits.unsent); "
            "the server logs which"
        ),
    ),
    (
        errors.Interrupted(NAME),
        (
            "the connection to 'printer' was ended, because an exception interrupted it between two steps that belong "
            "together: connect again, and check which messages were folded"
        ),
    ),
    (
        errors.InUse(NAME),
        "the connection to 'printer' is in use by another thread or by the code that a signal interrupted: give each its own",
    ),
    (
        errors.ProtocolBroken(NAME, "no end mark"),
        "the server 'printer' broke the protocol (no end mark): check which program listens there, and limits.message",
    ),
    (
        errors.UnreadExceeded(NAME, 100),
        (
            "the unread responses of 'printer' exceed 100 bytes, so the connection was ended: "
            "wait for responses between sends, or raise limits.unread"
        ),
    ),
    (errors.ProcessClosed(NAME), "this connection to 'printer' was closed here: connect again with get or wait"),
    (errors.UsedAfterFork(NAME, 4711), "'printer' belongs to process 4711, which forked this one: connect or listen again in this process"),
    (
        errors.SystemFailure("connect to", PATH, "gevent has replaced the sockets of this process", "use ipcfold in another process"),
        f"could not connect to {AT}: gevent has replaced the sockets of this process; use ipcfold in another process",
    ),
    (
        errors.SystemFailure("lock", PATH, "No space left on device"),
        f"could not lock {AT}: No space left on device; check that path, and this user's permissions and limits",
    ),
    (
        errors.Unacknowledged(2, 5, errors.ConnectionClosed(NAME)),
        "2 of 5 messages were acknowledged, then the server 'printer' closed this connection: connect again if there is more to say",
    ),
    (
        errors.HandlerFailed(7, Message.text("ping"), KeyError("key")),
        (
            "the handler failed with KeyError('key'); the carry before that message is kept in .carry "
            "and the traceback in .error: fix the handler and start from that carry"
        ),
    ),
    (
        brokers.BrokerUnreachable("nats://a", "refused"),
        "no broker can be reached at nats://a (refused): start one, or check the addresses and the network",
    ),
    (
        brokers.NotAuthorized("nats://a", "no"),
        "the broker at nats://a refuses these credentials (no): check the user, the password or the file",
    ),
    (
        brokers.NotPermitted("publish", "a.b"),
        "the broker does not permit this user to publish on a.b: allow that in its permissions",
    ),
    (
        brokers.NotPermitted("subscribe", "a.b"),
        "the broker does not permit this user to subscribe to a.b: allow that in its permissions",
    ),
    (
        brokers.BrokerRefused("make the stream", "no space"),
        "the broker refused to make the stream: no space; check its limits, its other streams, and whether JetStream is enabled",
    ),
    (brokers.NobodyListens(NAME, "nats://a"), "nobody listens under 'printer' at nats://a: start its server, or use wait to wait for it"),
    (
        brokers.HandlerRaised(NAME, "KeyError: 1"),
        (
            "the handler of 'printer' failed with KeyError: 1, and the server ended: fix the handler and start the server "
            "again, which folds what is stored"
        ),
    ),
    (
        brokers.Unacknowledged(2, 5, errors.ConnectionClosed(NAME)),
        "2 of 5 messages were acknowledged, then the server 'printer' closed this connection: connect again if there is more to say",
    ),
    (errors.LogTaken("/log", 4711), "process 4711 writes to the log /log: end that server first, or use another log"),
    (errors.LogTaken("/log"), "another server writes to the log /log: end that server first, or use another log"),
    (errors.LogFull("/log", "full"), "there is no space left for the log /log (full): free some, and start the server again"),
    (
        errors.LogReadOnly("/log", "read-only"),
        "the log /log cannot be written (read-only): make it and its directory writable for this user",
    ),
    (
        errors.LogCorrupt("/log", 7, "a page is malformed"),
        (
            "the log /log is damaged behind entry 7 (a page is malformed): restore it from a backup, copy what can be read with "
            "`ipcfold salvage`, or move it away and start with a new one"
        ),
    ),
    (
        errors.LogForeign("/log", "a log of version 2"),
        "/log is a log of version 2: use the version of ipcfold that wrote it, or another path",
    ),
    (errors.LogForeign("/log", "no regular file"), "/log is no regular file: use another path"),
    (
        errors.LogUnusable("/log", "disk I/O error"),
        "the log /log cannot be used: disk I/O error; check the path, this user's permissions, and the disk",
    ),
    (
        errors.LogFailed(1, errors.LogTaken("/log")),
        "the log failed, and the server has ended: another server writes to the log /log: end that server first, or use another log",
    ),
    (
        errors.ReplayDiverged(1, "/log", 7, Message.text("x")),
        (
            "the handler answers entry 7 of the log /log in another way than it did: it is not pure, or it was changed, or the first "
            "carry or limits.message is another one; start with those of that time, or accept the new one from now on with log.adopting()"
        ),
    ),
    (
        errors.ReplayDiverged(1, "/log", 7, Message.text("x"), KeyError(1)),
        (
            "the handler raises KeyError(1) for entry 7 of the log /log, which it has folded: it is not pure, or it was changed, or the "
            "first carry or limits.message is another one; start with those of that time, or change the new one so that it folds this, "
            "because one that raises cannot be adopted"
        ),
    ),
    (
        errors.ReplayDiverged(1, "/log", 7, Message.text("x"), part="carry"),
        (
            "the handler makes another carry up to entry 7 of the log /log than it did, as the snapshot there shows: it is not pure, or it "
            "was changed, or the first carry or limits.message is another one; start with those of that time, or accept the new one from "
            "now on with log.adopting()"
        ),
    ),
    (
        errors.ReplayDiverged(1, "/log", 7, Message.text("x"), part="adopted"),
        (
            "the handler is not known to answer what is before entry 7 of the log /log as the handler did that was adopted there: it is "
            "not pure, or it was changed, or the first carry or limits.message is another one; start with those of that time, or accept "
            "the new one from now on with log.adopting()"
        ),
    ),
    (
        errors.ReplayInterrupted("/log", 7),
        (
            "the server was ended before it served, by a signal or by the program, when it had folded 7 entries of the log /log: nothing "
            "is lost, start it again to serve"
        ),
    ),
]


@pytest.mark.parametrize(("error", "sentence"), EXAMPLES, ids=lambda example: type(example).__name__)
def test_the_text_of_an_error_is_one_sentence_with_the_facts_and_what_to_do(error: object, sentence: str) -> None:
    assert str(error) == sentence


@pytest.mark.parametrize(("error", "_"), EXAMPLES, ids=lambda example: type(example).__name__)
def test_the_repr_of_an_error_is_as_attrs_makes_it(error: attrs.AttrsInstance, _: str) -> None:
    facts = attrs.asdict(error, recurse=False)
    made_by_attrs = attrs.make_class(type(error).__name__, list(facts))
    assert repr(error) == repr(made_by_attrs(**facts))


@pytest.mark.parametrize(("error", "_"), EXAMPLES, ids=lambda example: type(example).__name__)
def test_errors_are_equal_by_their_facts_and_kind(error: attrs.AttrsInstance, _: str) -> None:
    facts = attrs.asdict(error, recurse=False)
    assert error == type(error)(**facts)
    assert hash(error) == hash(type(error)(**facts))
    for name in facts:
        assert error != type(error)(**{**facts, name: object()})
    assert error != attrs.make_class(type(error).__name__, list(facts))(**facts)
    assert all(error != other for other, _ in EXAMPLES if type(other) is not type(error))


def test_an_error_hashes_by_its_kind_too() -> None:
    assert hash(errors.ConnectionLost(NAME)) != hash(errors.ConnectionClosed(NAME))


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
    assert errors.HandlerFailed[int] in get_args(errors.ListenError[int])  # type: ignore[misc]  # mypy knows it as a type only


class UnshowableError(Exception):
    """Its `repr` and its `str` raise, as does whatever shows it without care."""

    def __init__(self, raised: BaseException) -> None:
        super().__init__()
        self.raised = raised

    def __repr__(self) -> str:
        raise self.raised

    __str__ = __repr__


@pytest.mark.parametrize("raised", [KeyError("x"), SystemExit(3), RecursionError()])
def test_a_failure_shows_what_cannot_be_shown(raised: BaseException) -> None:
    value = UnshowableError(raised)
    failed = HandlerFailed(value, Message.text("ping"), value)
    assert f"failed with <UnshowableError, whose repr raises {type(raised).__name__}>;" in str(failed)
    assert repr(failed).startswith(f"HandlerFailed(carry=<UnshowableError, whose repr raises {type(raised).__name__}>, message=Message(")


def test_an_interrupt_while_a_failure_is_shown_is_one() -> None:
    value = UnshowableError(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        str(HandlerFailed(0, Message.text("ping"), value))
