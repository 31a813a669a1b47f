"""The entries of the stream of a name, and their bytes: what clients and servers write there, in the order in which it is folded.

A client writes `Hello` first, then its messages, which it numbers from 1. `got` is the number of the last item that it has
received, so that servers forget the items up to it. A server writes `Lead` when it begins to lead; `after` is the term of
the leader before it. So of two servers that want to lead at once, the stream decides for one. Its other entries have its
term, and count only while it leads. See `term_of`.
"""

from __future__ import annotations

from binascii import crc32
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is an exception
from typing import Final, TypeAlias, final

import attrs

from ipcfold.nats.subjects import is_inbox, is_session

VERSION: Final = 1
"""Of all bytes here, and of those in `items`. A change of them gives it another number."""

_HELLO: Final = Struct(">cB")
_BURST: Final = Struct(">cQQ")
_PART: Final = Struct(">cQQIB")
_SYNC: Final = Struct(">cIQ")
_BYE: Final = Struct(">cQ")
_TERM: Final = Struct(">cQ")
_RANG: Final = Struct(">cQQ")
_CHECK: Final = Struct(">cQQI")


@final
@attrs.frozen
class Hello:
    """A client begins a session. It gets its items at that inbox."""

    inbox: str


@final
@attrs.frozen
class Burst:
    """Messages of a client, as frames one behind the other. `first` is the number of the first."""

    first: int
    got: int
    frames: bytes


@final
@attrs.frozen
class Part:
    """A piece of a large message: the pieces from index 0 to the last one are its frame."""

    number: int
    got: int
    index: int
    last: bool
    piece: bytes


@final
@attrs.frozen
class Sync:
    """A client asks how far its messages are folded, and for all items that it has not received.

    `inbox` is that of its `Hello`. If the servers have forgotten the session, the leader says so there.
    """

    token: int
    got: int
    inbox: str


@final
@attrs.frozen
class Bye:
    """A client ends its session. `inbox`: see `Sync`."""

    got: int
    inbox: str


@final
@attrs.frozen
class Lead:
    """A server wants to lead."""

    server: str
    after: int


@final
@attrs.frozen
class Gone:
    """The leader noticed that these sessions are gone."""

    term: int
    sessions: tuple[str, ...]


@final
@attrs.frozen
class Rang:
    """The leader noticed that the time of the alarm has come, at the place `after`.

    If an alarm has rung behind that place, this entry is of no use any more. So however many the leader writes, what was in the stream when
    an alarm was folded is folded before the next one.
    """

    term: int
    after: int


@final
@attrs.frozen
class Over:
    """The leader ends, and no other server is there: all sessions end."""

    term: int


@final
@attrs.frozen
class Check:
    """The digest that the leader has at the place `at` of all answers so far. A server that has another one must not go on."""

    term: int
    at: int
    digest: int


@final
@attrs.frozen
class Adopted:
    """The leader answers differently than servers before it did, by decision. The digest begins anew."""

    term: int


def term_of(at: int, server: str) -> int:
    """The term of the server whose `Lead` is at this place of the stream; 0 if none has led yet.

    The place alone does not tell leaders apart: if a stream is removed and made again, the leader of the old one may not know it yet.

    >>> term_of(0, ""), term_of(1, "a") == term_of(1, "b")
    (0, False)
    """
    return crc32(server.encode()) << 32 | at % 2**32 if at else 0


OfClient: TypeAlias = Hello | Burst | Part | Sync | Bye
OfServer: TypeAlias = Lead | Gone | Rang | Over | Check | Adopted


def encode(entry: OfClient | OfServer) -> bytes:
    """The bytes of an entry.

    >>> decode_client(encode(Sync(7, 3, "_INBOX.x1")))
    Sync(token=7, got=3, inbox='_INBOX.x1')
    """
    match entry:
        case Hello(inbox):
            return _HELLO.pack(b"H", VERSION) + inbox.encode("ascii")
        case Burst(first, got, frames):
            return _BURST.pack(b"M", first, got) + frames
        case Part(number, got, index, last, piece):
            return _PART.pack(b"P", number, got, index, last) + piece
        case Sync(token, got, inbox):
            return _SYNC.pack(b"S", token, got) + inbox.encode("ascii")
        case Bye(got, inbox):
            return _BYE.pack(b"B", got) + inbox.encode("ascii")
        case Lead(server, after):
            return _TERM.pack(b"L", after) + server.encode("ascii")
        case Gone(term, sessions):
            return _TERM.pack(b"G", term) + " ".join(sessions).encode("ascii")
        case Rang(term, after):
            return _RANG.pack(b"A", term, after)
        case Over(term):
            return _TERM.pack(b"O", term)
        case Adopted(term):
            return _TERM.pack(b"N", term)
        case Check(term, at, digest):
            return _CHECK.pack(b"C", term, at, digest)


def decode_client(data: bytes) -> OfClient | None:
    """The entry of a client; `None` for any other bytes, because anybody may be permitted to write to the stream."""
    try:
        return _of_client(data)
    except (ValueError, StructError):
        return None


def _of_client(data: bytes) -> OfClient | None:
    match data[:1]:
        case b"M":
            _, first, got = _BURST.unpack_from(data)
            return Burst(first, got, data[_BURST.size :])
        case b"S":
            _, token, got = _SYNC.unpack_from(data)
            inbox = data[_SYNC.size :].decode("ascii")
            return Sync(token, got, inbox) if is_inbox(inbox) else None
        case b"P":
            _, number, got, index, last = _PART.unpack_from(data)
            return Part(number, got, index, last == 1, data[_PART.size :]) if last <= 1 else None
        case b"H":
            inbox = data[_HELLO.size :].decode("ascii")
            return Hello(inbox) if is_inbox(inbox) and _HELLO.unpack_from(data)[1] == VERSION else None
        case b"B":
            inbox = data[_BYE.size :].decode("ascii")
            return Bye(_BYE.unpack_from(data)[1], inbox) if is_inbox(inbox) else None
        case _:
            return None


def decode_server(data: bytes) -> OfServer | None:
    """The entry of a server; `None` for any other bytes."""
    try:
        return _of_server(data)
    except (ValueError, StructError):
        return None


def _of_server(data: bytes) -> OfServer | None:
    kind, term = _TERM.unpack_from(data)
    if kind == b"C":
        return Check(*_CHECK.unpack(data)[1:])
    if kind == b"A":
        return Rang(*_RANG.unpack(data)[1:])
    rest = data[_TERM.size :].decode("ascii")
    if kind == b"L":
        return Lead(rest, term) if is_session(rest) else None
    if kind == b"G":
        sessions = tuple(rest.split(" "))
        return Gone(term, sessions) if all(map(is_session, sessions)) else None
    if rest:
        return None
    return Over(term) if kind == b"O" else Adopted(term) if kind == b"N" else None
