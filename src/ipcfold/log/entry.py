"""What a log has: the inputs of a fold, the starts and ends of its servers, and snapshots; and their bytes.

A log keeps records, which are bytes. Each record is one entry: what was folded, when, and a digest of the answer. The digest
has the size of the answer as bytes, and their CRC. So a replay notices that a handler answers in another way, without the
answers themselves. Two different answers of one size have the same digest by chance once in 2**32 times. The carry has no part
in it: the snapshots have that.

The entry of an adoption has a digest of many answers. It chains the digests of all that the new handler gave to earlier entries.
"""

from __future__ import annotations

import json
from binascii import crc32
from collections.abc import Iterable
from functools import lru_cache
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is an exception
from typing import Any, Final, final

import attrs

from ipcfold.continuation import Continuation, Outcome
from ipcfold.core.fold import FoldState
from ipcfold.core.wire import encode as frame_of
from ipcfold.effects import Answer, Defer, Effect, Rescued, Tell, Ticket, Wake
from ipcfold.events import Ending
from ipcfold.inputs import Came, Left, Woken
from ipcfold.message import TEXT_PLAIN, MediaType, Message
from ipcfold.peer import Peer

VERSION: Final = 1
"""Of these bytes. A change of them gives it another number."""

_HEAD: Final = Struct(">BdQ")
_PEER: Final = Struct(">qqqq")
_CAME: Final = Struct(">BdQqqqqQ")
_LEFT: Final = Struct(">BdQqqqq")
_TYPE: Final = Struct(">H")
_SIZE: Final = Struct(">I")
_TIME: Final = Struct(">d")
_PLACE: Final = Struct(">Q")
_END: Final = b"\xce"
_IS_CAME, _IS_LEFT, _IS_WOKEN, _IS_BEGAN, _IS_ENDED, _IS_ADOPTED = range(1, 7)


@final
@attrs.frozen
class Began:
    """A server started, at that time in seconds since the epoch."""

    now: float


@final
@attrs.frozen
class Ended:
    """A server ended in good order, at that time in seconds since the epoch."""

    now: float
    ending: Ending


@final
@attrs.frozen
class Adopted:
    """From here on another handler answers, by decision. It folded the entries before it, and answered some of them differently.

    `since`: so many entries were before the first that it folded. It began with a snapshot there, or at the beginning.
    """

    now: float
    since: int = 0


@final
@attrs.frozen
class Entry:
    """One entry of a log."""

    what: Came | Left | Woken | Began | Ended | Adopted
    number: int = 0
    """The number of a message on its connection."""
    digest: int = 0
    """Of the answer; for `Adopted` of all answers of the new handler to the entries before, from `since` on, or 0 if that is unknown."""


@final
@attrs.frozen
class Snapshot:
    """The carry after so many entries, as a message, and what else the fold knew."""

    at: int
    carry: Message
    state: FoldState


@final
class DamagedError(ValueError):
    """These bytes are no entry and no snapshot."""


def digest(answer: Continuation[Any]) -> int:  # Any: the carry has no part in it
    """The digest of an answer: of its outcome, its responses, and its effects.

    >>> digest(Continuation(1)) == digest(Continuation(2)), digest(Continuation(1)) == digest(Continuation(1).stop(1))
    (True, False)
    """
    check, size = _OUTCOMES[answer.outcome], 0
    for response in answer.responses:
        frame = frame_of(response)
        check, size = crc32(frame, check), size + len(frame)
    if answer.effects:
        for piece in _effects(answer.effects):
            check, size = crc32(piece, check), size + len(piece)
    return (size & 0xFFFF_FFFF) << 32 | check


def chained(of_answers: int, count: int, of_answer: int) -> int:
    """The digest of so many answers, the last of which has the digest `of_answer`, and those before it `of_answers`.

    >>> chained(chained(0, 1, 7), 2, 8) == chained(chained(0, 1, 8), 2, 7)
    False
    """
    return (count & 0xFFFF_FFFF) << 32 | crc32(_PLACE.pack(of_answer), of_answers & 0xFFFF_FFFF)


_OUTCOMES: Final = {outcome: crc32(outcome.value.encode()) for outcome in Outcome}


def _effects(effects: Iterable[Effect]) -> Iterable[bytes]:
    for effect in effects:
        match effect:
            case Wake(at):
                yield b"wake" if at is None else b"wake" + _TIME.pack(at)
            case Defer():
                yield b"defer"
            case Tell(peer, messages, after):
                yield b"tell" + _peer(peer) + _PLACE.pack(after)
                yield from map(frame_of, messages)
            case Answer(ticket, messages, after):
                yield b"answer" + _peer(ticket.peer) + _PLACE.pack(ticket.number) + _TIME.pack(ticket.taken) + _PLACE.pack(after)
                yield from map(frame_of, messages)
            case Rescued():
                pass  # nobody gets it, and its text may differ each time


def _peer(peer: Peer) -> bytes:
    return _PEER.pack(peer.connection, peer.pid, peer.uid, peer.gid)


def folded(what: Message | Left | Woken, given: Continuation[Any], answer: Continuation[Any]) -> bytes:  # Any: as above
    """The record of an input, the continuation that the handler was called with, and its answer."""
    match what:
        case Message():
            peer = given.peer
            head = _CAME.pack(_IS_CAME, given.now, digest(answer), peer.connection, peer.pid, peer.uid, peer.gid, given.number)
            return head + frame_of(what)
        case Left(now, peer):
            return _LEFT.pack(_IS_LEFT, now, digest(answer), peer.connection, peer.pid, peer.uid, peer.gid)
        case Woken(now):
            return _HEAD.pack(_IS_WOKEN, now, digest(answer))


def encode(entry: Entry) -> bytes:
    """The record of an entry."""
    match entry.what:
        case Came(now, peer, message):
            head = _CAME.pack(_IS_CAME, now, entry.digest, peer.connection, peer.pid, peer.uid, peer.gid, entry.number)
            return head + frame_of(message)
        case Left(now, peer):
            return _LEFT.pack(_IS_LEFT, now, entry.digest, peer.connection, peer.pid, peer.uid, peer.gid)
        case Woken(now):
            return _HEAD.pack(_IS_WOKEN, now, entry.digest)
        case Began(now):
            return _HEAD.pack(_IS_BEGAN, now, 0)
        case Ended(now, ending):
            return _HEAD.pack(_IS_ENDED, now, 0) + ending.name.encode()
        case Adopted(now, since):
            return _HEAD.pack(_IS_ADOPTED, now, entry.digest) + _PLACE.pack(since)


def decode(record: bytes) -> Entry:
    """The entry of a record. Raises a `DamagedError` for any other bytes."""
    try:
        return _decoded(record)
    except (ValueError, KeyError, StructError) as error:
        raise DamagedError(f"{record[:32]!r} is no entry") from error


def _decoded(record: bytes) -> Entry:
    kind, now, of_answer = _HEAD.unpack_from(record)
    rest: Woken | Began | Adopted
    if kind == _IS_CAME:
        connection, pid, uid, gid, number = _CAME.unpack_from(record)[3:]
        came = Came(now, Peer(connection, pid, uid, gid), _message(record, _CAME.size))
        return Entry(came, number, of_answer)
    if kind == _IS_LEFT:
        return Entry(Left(now, Peer(*_LEFT.unpack(record)[3:])), 0, of_answer)
    if kind == _IS_ENDED:
        return Entry(Ended(now, Ending[record[_HEAD.size :].decode()]))
    if kind == _IS_ADOPTED and len(record) > _HEAD.size:  # otherwise it says nothing but its time
        return Entry(Adopted(now, *_PLACE.unpack(record[_HEAD.size :])), 0, of_answer)
    if len(record) > _HEAD.size:
        raise DamagedError("it is too long")
    match kind:
        case 3:
            rest = Woken(now)
        case 4:
            rest = Began(now)
        case 6:
            rest = Adopted(now)
        case _:
            raise DamagedError("its kind is unknown")
    return Entry(rest, 0, of_answer)


def _message(record: bytes, at: int) -> Message:
    """The message of the frame there, which ends the record."""
    start = at + 2
    end = start + _TYPE.unpack_from(record, at)[0]
    content, size = end + 4, _SIZE.unpack_from(record, end)[0]
    if record[content + size :] != _END:
        raise DamagedError("its frame is damaged")
    return Message(_media_type(record[start:end]), record[content : content + size])


@lru_cache(maxsize=256)
def _media_type(text: bytes) -> MediaType:
    media_type = MediaType.of(text.decode("ascii")).value_or(None)
    if media_type is None:
        raise DamagedError("its media type is damaged")
    return TEXT_PLAIN if media_type == TEXT_PLAIN else media_type


def sized(record: bytes) -> bytes:
    """The record after its size."""
    return _SIZE.pack(len(record)) + record


def split(data: bytes, count: int) -> tuple[bytes, ...]:
    """So many records, each of which stands after its size. Raises a `DamagedError` for other bytes."""
    records, at = list[bytes](), 0
    while at < len(data):
        start = at + _SIZE.size
        at = start + (_SIZE.unpack_from(data, at)[0] if start <= len(data) else len(data))
        records.append(data[start:at])
    if len(records) != count or at != len(data):
        raise DamagedError("its records are damaged")
    return tuple(records)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The bytes of a snapshot."""
    state = snapshot.state
    known = {
        "at": snapshot.at,
        "time": state.time,
        "alarm": state.alarm,
        "most": state.most,
        "peers": [attrs.astuple(peer) for peer in state.peers],
        "open": [[*attrs.astuple(ticket.peer), ticket.number, ticket.taken] for ticket in state.open],
        "began": state.began,
    }
    head = json.dumps(known).encode()
    return _SIZE.pack(len(head)) + head + frame_of(snapshot.carry)


def decode_snapshot(record: bytes) -> Snapshot:
    """The snapshot of these bytes. Raises a `DamagedError` for any others."""
    try:
        start = _SIZE.size + _SIZE.unpack_from(record)[0]
        known = json.loads(record[_SIZE.size : start])
        peers = tuple(Peer(*peer) for peer in known["peers"])
        tickets = tuple(Ticket(Peer(*peer), number, taken) for *peer, number, taken in known["open"])
        state = FoldState(known["time"], known["alarm"], known["most"], peers, tickets, known["began"])
        return Snapshot(known["at"], _message(record, start), state)
    except (ValueError, KeyError, TypeError, StructError) as error:
        raise DamagedError(f"{record[:32]!r} is no snapshot") from error
