"""What a leader sends to the inbox of a client, and its bytes.

The items of a session are numbered from 1, and every server has the same ones. A leader may send them more than once, and
another leader may send them again. A client takes each number once, in order. Everything else there is a `Note`, which has
no number: it may get lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is an exception
from typing import Final, TypeAlias, final

import attrs

_HEAD: Final = Struct(">cQ")
_ITEM: Final = Struct(">cQI")
_STATE: Final = Struct(">cIQQ")
_TIME: Final = Struct(">Q")
_PING: Final = b"?"
_BEHIND: Final = b"!"
_UNKNOWN: Final = b"0"

PIECE: Final = 2**17
"""Bytes; a larger item is sent in pieces. It is the same for all servers, because pieces have numbers of their own."""


class Kind(Enum):
    """What an item is."""

    WELCOME = b"W"
    """The session has begun; `number` is that of the connection, and `data` is what `began` makes."""
    FOLDED = b"F"
    """The messages up to `number` are folded."""
    ANSWER = b"A"
    """The same, and `data` has responses to that message."""
    LATE = b"L"
    """`data` has the answer to message `number`, which was left open."""
    TOLD = b"T"
    """`data` has messages that answer nothing."""
    CLOSED = b"C"
    """The session is over, after message `number`; `data` says why, if it is not in good order."""
    PIECE = b"P"
    """`data` is the beginning of that of the next item."""


@final
@attrs.frozen
class Item:
    """One item of a session. `data` is frames, unless its kind says something else."""

    kind: Kind
    number: int = 0
    data: bytes = b""


@final
@attrs.frozen
class Items:
    """Items, the first of which has this number."""

    first: int
    items: tuple[Item, ...]


@final
@attrs.frozen
class State:
    """The answer to a `Sync`: the messages up to `last` are folded, and the items up to `item` are sent."""

    token: int
    last: int
    item: int


@final
@attrs.frozen
class Ping:
    """Asks whether the client is there. It answers with anything."""


@final
@attrs.frozen
class Behind:
    """The leader could not take something: the client is to ask how far its messages are folded."""


@final
@attrs.frozen
class Unknown:
    """The servers do not know the session: it was over, and they have forgotten it, or their stream is another one."""


@final
@attrs.frozen
class Failed:
    """The handler failed for message `number`, and the server ends."""

    number: int
    error: str


Note: TypeAlias = State | Ping | Behind | Unknown | Failed

_PLAIN: Final[dict[bytes, Note]] = {_PING: Ping(), _BEHIND: Behind(), _UNKNOWN: Unknown()}
_KINDS: Final = {kind.value: kind for kind in Kind}


def encode_item(item: Item) -> bytes:
    """The bytes of an item."""
    return _ITEM.pack(item.kind.value, item.number, len(item.data)) + item.data


def pieces(item: Item) -> Iterable[bytes]:
    """The bytes of an item, as one item or as several of at most so many bytes."""
    data = item.data
    while len(data) > PIECE:
        yield encode_item(Item(Kind.PIECE, item.number, data[:PIECE]))
        data = data[PIECE:]
    yield encode_item(Item(item.kind, item.number, data))


def began(time: float) -> bytes:
    """The data of a welcome: when the fold began, which is given in seconds since the epoch."""
    return _TIME.pack(int(time * 1e9))


def encode_items(first: int, items: Sequence[bytes]) -> bytes:
    """What is sent for these encoded items."""
    return _HEAD.pack(b"I", first) + b"".join(items)


def epoch(item: Item) -> int:
    """When the fold began, as a welcome says it, in nanoseconds since the epoch; 0 if it does not."""
    return int(_TIME.unpack(item.data)[0]) if len(item.data) == _TIME.size else 0


def encode_note(note: Note) -> bytes:
    """What is sent for a note.

    >>> decode(encode_note(State(1, 2, 3)))
    State(token=1, last=2, item=3)
    """
    match note:
        case State(token, last, item):
            return _STATE.pack(b"S", token, last, item)
        case Failed(number, error):
            return _HEAD.pack(b"E", number) + error.encode("utf-8", "backslashreplace")
        case Ping():
            return _PING
        case Behind():
            return _BEHIND
        case Unknown():
            return _UNKNOWN


def decode(data: bytes) -> Items | Note | None:
    """What came to an inbox; `None` for any other bytes."""
    try:
        return _decoded(data)
    except (ValueError, KeyError, StructError):
        return None


def _decoded(data: bytes) -> Items | Note | None:
    match data[:1]:
        case b"I":
            return Items(_HEAD.unpack_from(data)[1], tuple(_items(data)))
        case b"S":
            return State(*_STATE.unpack(data)[1:])
        case b"E":
            return Failed(_HEAD.unpack_from(data)[1], data[_HEAD.size :].decode())
        case _:
            return _PLAIN.get(data)


def _items(data: bytes) -> Iterable[Item]:
    at = _HEAD.size
    while at < len(data):
        kind, number, size = _ITEM.unpack_from(data, at)
        at += _ITEM.size + size
        if at > len(data):
            raise ValueError("it is cut off")
        yield Item(_KINDS[kind], number, data[at - size : at])
