"""Snapshots: all that a server knows at a place of the stream, as bytes in several parts, and the mark behind them."""

from __future__ import annotations

import json
from binascii import crc32
from collections.abc import Iterator
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is an exception
from typing import Final, final

import attrs

from ipcfold.core.fold import FoldState
from ipcfold.log import Snapshot
from ipcfold.log.entry import DamagedError, decode_snapshot, encode_snapshot
from ipcfold.message import Message
from ipcfold.nats.sessions import Session
from ipcfold.peer import Peer

PART: Final = 2**18
"""Bytes; a snapshot is stored in parts of at most this size."""

_SIZE: Final = Struct(">I")
_MARK: Final = Struct(">BQIIQ")
_VERSION: Final = 1


@final
@attrs.frozen
class Known:
    """What a server knows at a place of the stream, without the carry."""

    at: int
    time: float
    led: int
    leader: str
    rang: int
    checked: int
    """The digest of all answers."""
    fold: FoldState
    sessions: tuple[Session, ...]


@final
@attrs.frozen
class Mark:
    """Stands behind the parts of a snapshot: its place, how many they are, their checksum, and where the mark before it is."""

    at: int
    parts: int
    checksum: int
    before: int = 0

    def encode(self) -> bytes:
        """Its bytes.

        >>> Mark.decode(Mark(7, 1, 2, 3).encode())
        Mark(at=7, parts=1, checksum=2, before=3)
        """
        return _MARK.pack(_VERSION, self.at, self.parts, self.checksum, self.before)

    @classmethod
    def decode(cls, data: bytes) -> Mark | None:
        """The mark of these bytes; `None` for any others."""
        if len(data) != _MARK.size or data[0] != _VERSION:
            return None
        return cls(*_MARK.unpack(data)[1:])


def parts(snapshot: bytes) -> Iterator[bytes]:
    """The parts of a snapshot."""
    return (snapshot[at : at + PART] for at in range(0, len(snapshot), PART))


def mark(known: Known, snapshot: bytes, before: int) -> Mark:
    """The mark of a snapshot."""
    return Mark(known.at, -(-len(snapshot) // PART), crc32(snapshot), before)


def whole(found: list[bytes], mark: Mark) -> bytes | None:
    """The snapshot of these parts, if they are complete."""
    snapshot = b"".join(found)
    return snapshot if crc32(snapshot) == mark.checksum else None


def encode(known: Known, carry: Message) -> bytes:
    """The bytes of a snapshot."""
    head = {
        "time": known.time,
        "led": known.led,
        "leader": known.leader,
        "rang": known.rang,
        "checked": known.checked,
        "sessions": [
            {
                "identifier": session.identifier,
                "inbox": session.inbox,
                "connection": session.peer.connection,
                "last": session.last,
                "acknowledged": session.acknowledged,
                "got": session.got,
                "ended": session.ended,
                "items": [len(item) for item in session.items],
                "parts": [len(part) for part in session.parts],
            }
            for session in known.sessions
        ],
    }
    record = encode_snapshot(Snapshot(known.at, carry, known.fold))
    written = json.dumps(head).encode()
    blobs = [piece for session in known.sessions for piece in (*session.items, *session.parts)]
    return b"".join((_SIZE.pack(len(record)), record, _SIZE.pack(len(written)), written, *blobs))


def decode(data: bytes) -> tuple[Known, Message] | None:
    """What a snapshot has; `None` for any other bytes."""
    try:
        return _decoded(data)
    except (ValueError, KeyError, TypeError, StructError, DamagedError):
        return None


def _decoded(data: bytes) -> tuple[Known, Message]:
    end = _SIZE.size + _SIZE.unpack_from(data)[0]
    snapshot = decode_snapshot(data[_SIZE.size : end])
    start = end + _SIZE.size
    at = start + _SIZE.unpack_from(data, end)[0]
    head = json.loads(data[start:at])
    sessions = list[Session]()
    for each in head["sessions"]:
        session = Session(each["identifier"], each["inbox"], Peer(each["connection"]))
        session.last, session.acknowledged, session.got = each["last"], each["acknowledged"], each["got"]
        session.ended = each["ended"]
        for size in each["items"]:
            session.items.append(data[at : at + size])
            at += size
        for size in each["parts"]:
            session.parts.append(data[at : at + size])
            at += size
        session.size, session.stored = sum(each["items"]), sum(each["parts"])
        sessions.append(session)
    if at != len(data):
        raise DamagedError("it is too short or too long")
    known = Known(snapshot.at, head["time"], head["led"], head["leader"], head["rang"], head["checked"], snapshot.state, tuple(sessions))
    return known, snapshot.carry
