"""Bytes to frames and back.

A frame is a media type and content, each behind its length, and an end mark. Here bytes become a `Signal` or a
`Message`, once; nothing later compares content. Decoding has three outcomes: a frame, nothing yet, or `Broken`.
A length is checked against its limit before anything is buffered for it.
"""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from functools import lru_cache
from io import BytesIO
from struct import Struct
from typing import Final, TypeAlias, final

import attrs
from returns.maybe import Maybe, Nothing, Some

from ipcfold.errors import MessageTooLarge, ReservedMessage
from ipcfold.limits import Limits
from ipcfold.message import TEXT_PLAIN, MediaType, Message

_TYPE_LENGTH: Final = Struct(">H")
_CONTENT_LENGTH: Final = Struct(">I")
_END_MARK: Final = b"\xce"
_SHORTEST: Final = 2 + 4 + 1  # no type, no content
_COPIED: Final = 2**14  # contents up to this size are cut out of what was read, larger ones get memory of their own at once
_ENOUGH: Final = 8  # of a large content, this part of it: then it gets all its memory
_UNTOUCHED: Final = 2**25  # of memory from this size on, the system gives what is written to, and not before
_TYPICAL_TYPE: Final = 128  # only media types up to this length are cached, so that strangers cannot fill memory


def encode(message: Message) -> bytes:
    """The message as one frame."""
    content = message.content
    return b"".join((_prefix(str(message.media_type)), _CONTENT_LENGTH.pack(len(content)), content, _END_MARK))


def encode_around(message: Message) -> tuple[bytes, bytes]:
    """What stands before and behind the content in its frame, for contents too large to copy."""
    return _prefix(str(message.media_type)) + _CONTENT_LENGTH.pack(len(message.content)), _END_MARK


def _prefix(media_type: str) -> bytes:
    """The media type behind its length."""
    return _prefixed_cached(media_type) if len(media_type) <= _TYPICAL_TYPE else _prefixed(media_type)


def _prefixed(media_type: str) -> bytes:
    encoded = media_type.encode("ascii")
    return _TYPE_LENGTH.pack(len(encoded)) + encoded


_prefixed_cached = lru_cache(maxsize=256)(_prefixed)


class Signal(Enum):
    """What the two ends say to each other about the conversation itself."""

    START = b"innmind/ipc:connection.start"
    START_OK = b"innmind/ipc:connection.start-ok"
    RECEIVED = b"innmind/ipc:message.received"
    HEARTBEAT = b"innmind/ipc:heartbeat"
    CLOSE = b"innmind/ipc:connection.close"
    CLOSE_OK = b"innmind/ipc:connection.close-ok"

    __hash__ = object.__hash__  # members are singletons, and keys of the tables of transitions: that of Enum is slow

    @property
    def content(self) -> bytes:
        """What stands in its frame, as `text/plain`."""
        return self.value

    @property
    def frame(self) -> bytes:
        """The whole frame."""
        return encode(Message(TEXT_PLAIN, self.value))


_SIGNALS: Final = {signal.content: signal for signal in Signal}
_LONGEST_SIGNAL: Final = max(map(len, _SIGNALS))
_PLAIN: Final = str(TEXT_PLAIN).encode("ascii")


@final
@attrs.frozen
class Broken:
    """The bytes are no frame, and no later byte of that stream can be trusted."""

    reason: str


Frame: TypeAlias = Signal | Message


def sendable(message: Message, limits: Limits) -> bool:
    """Whether this message may be sent; a `TypeError` for what is no message at all."""
    # `getattr`, since compiled, an attribute that is not what its type says cannot be asked what it is.
    content, media_type = getattr(message, "content", None), getattr(message, "media_type", None)
    if not (isinstance(message, Message) and isinstance(content, bytes) and isinstance(media_type, MediaType)):
        raise TypeError(f"a Message of a MediaType and bytes is wanted, not {_made_of(message, media_type, content)}")
    size = len(content)
    if size <= limits.message and (size > _LONGEST_SIGNAL or content not in _SIGNALS):
        return True
    return refusal(message, limits) is Nothing


def refusal(message: Message, limits: Limits) -> Maybe[MessageTooLarge | ReservedMessage]:
    """Why this message must not be sent, if there is a reason."""
    size = len(message.content)
    if size <= _LONGEST_SIGNAL and message.content in _SIGNALS and message.media_type == TEXT_PLAIN:
        return Some(ReservedMessage(message))
    if size > limits.message:
        return Some(MessageTooLarge(size, limits.message))
    return Nothing


def _made_of(message: object, media_type: object, content: object) -> str:
    """The types in words; not the `repr`, which may be anybody's code and take any time."""
    if isinstance(message, Message):
        return f"a Message of {type(media_type).__name__} and {type(content).__name__}"
    return type(message).__name__


def unsendable(limits: Limits, response: Message) -> Exception | None:
    """Why this response must not be sent, if there is a reason, as an exception."""
    try:
        return None if sendable(response, limits) else ValueError(str(refusal(response, limits).unwrap()))
    except TypeError as error:
        return error


def _parse(media_type: bytes) -> MediaType | Broken:
    if media_type == _PLAIN:
        return TEXT_PLAIN
    with suppress(UnicodeDecodeError):
        parsed = MediaType.of(media_type.decode("ascii")).value_or(None)
        if parsed is not None:
            return parsed
    return Broken(f"{media_type[:80]!r} is not a media type")


_parse_cached = lru_cache(maxsize=1024)(_parse)


@final
class Decoder:
    """Bytes in as they come, frames out one by one."""

    __slots__ = (
        "_at",
        "_broken",
        "_data",
        "_frame_of_likely",
        "_header",
        "_large",
        "_largest",
        "_likely",
        "_limit",
        "_media_type",
        "_needed",
        "_usual",
        "buffered",
        "fresh",
    )

    def __init__(self, limit: int, likely: Signal | None = None) -> None:
        """`limit`: the largest content accepted, in bytes; `likely`: a signal that comes often."""
        self._limit = limit
        self._largest = max(limit, _LONGEST_SIGNAL)  # however small messages are to be, signals get through
        self._data = b""
        self._at = 0  # where the next frame starts in the data
        self._likely = likely
        self._frame_of_likely = b"" if likely is None else likely.frame
        self._media_type: MediaType | Broken = TEXT_PLAIN  # of the frame that is whole, or whose large content is under way
        self._usual: MediaType | None = None  # the same if it is a short one, since the next frame mostly has it, too,
        self._header = b""  # and then begins like this
        self._needed = _SHORTEST  # how much data from there on is worth another look
        self._large: _Large | None = None  # the frame under way, if its content is a large one
        self._broken: Broken | None = None
        self.buffered = 0
        """How many bytes of the frame under way are kept, once `next` has nothing more."""
        self.fresh = False
        """Whether there may be a next frame."""

    def room(self) -> memoryview | None:
        """Where the stream's next bytes are best read into, rather than fed: once a large content is under way."""
        return None if self._large is None else self._large.room()

    def filled(self, count: int) -> None:
        """So many bytes were read into the last `room`."""
        if self._large is not None and self._large.filled(count):
            self._needed = 0
            self.fresh = True

    def feed(self, data: bytes) -> None:
        """Take what the stream brought."""
        if self._broken is not None:
            return
        if self._large is not None and self._needed:
            data = self._large.write(data)
            self._needed = self._large.missing and 1
        self.fresh = True
        self._data = self._data[self._at :] + data if self._data else data
        self._at = 0

    def next(self) -> Frame | Broken | None:
        """The next whole frame; `None` until more bytes come; `Broken` for ever after a broken one."""
        frames = self.frames(1)
        return frames[0] if frames else self._broken

    def frames(self, most: int) -> list[Frame | Broken]:
        """The next whole frames that there are, at most so many; behind a `Broken`, nothing comes any more."""
        found: list[Frame | Broken] = []
        if self._large is not None and not self._needed:
            found.append(self._grown(self._large))
        data, at, needed, usual, header = self._data, self._at, self._needed, self._usual, self._header
        end = len(data)
        likely, frame_of_likely = self._likely, self._frame_of_likely
        while end - at >= needed and len(found) < most and self._broken is None:
            if likely is not None and data.startswith(frame_of_likely, at):
                at, needed = at + len(frame_of_likely), _SHORTEST
                found.append(likely)
                continue
            known = usual is not None and data.startswith(header, at)
            type_end = at + len(header) if known else at + 2 + (data[at] << 8) + data[at + 1]
            content_start = type_end + 4
            if end < content_start:
                needed = content_start - at
                break
            (size,) = _CONTENT_LENGTH.unpack_from(data, type_end)
            content_end: int = content_start + size
            if size > self._largest:
                found.append(self._break(f"a content of {size} bytes is over the limit of {self._limit}"))
                break
            if end <= content_end and size <= _COPIED:
                needed = content_end + 1 - at
                break
            if not known:
                self._learn(data[at:type_end])
                usual, header = self._usual, self._header
            if end <= content_end:
                self._large = _Large(size, data[content_start:])
                at, needed = end, 1
            elif data[content_end] != _END_MARK[0]:
                found.append(self._break("a frame does not end in the end mark"))
            else:
                content = data[content_start:content_end]
                at, needed = content_end + 1, _SHORTEST
                found.append(Message(usual, content) if size > _LONGEST_SIGNAL and usual is not None else self._frame(content))
        if at == end or self._broken is not None:  # all is read: an idle peer must not hold its last frame in memory
            data, at, end = b"", 0, 0
        self._data, self._at, self._needed = data, at, needed
        self.buffered = end - at if self._large is None else self._large.have
        self.fresh = len(found) == most
        return found

    def _learn(self, header: bytes) -> None:
        """Parse the media type behind its length."""
        if len(header) <= _TYPICAL_TYPE:
            self._media_type, self._header = _parse_cached(header[2:]), header
            self._usual = self._media_type if isinstance(self._media_type, MediaType) else None
        else:
            self._media_type, self._usual = _parse(header[2:]), None

    def _grown(self, large: _Large) -> Frame | Broken:
        """The frame of the large content that is whole now."""
        self._large, self._needed = None, _SHORTEST
        content = large.content()
        return self._break("a frame does not end in the end mark") if content is None else self._frame(content)

    def _frame(self, content: bytes) -> Frame | Broken:
        size, media_type = len(content), self._media_type
        if self._usual is None:
            self._media_type = TEXT_PLAIN  # an idle peer must not hold a long one in memory
        # However its type is spelled: a message must never equal a signal, or nobody could send it on.
        if size <= _LONGEST_SIGNAL and (signal := _SIGNALS.get(content)) is not None and media_type == TEXT_PLAIN:
            return signal
        if size > self._limit:
            return self._break(f"a content of {size} bytes is over the limit of {self._limit}")
        if isinstance(media_type, Broken):
            return self._break(media_type.reason)
        return Message(media_type, content)

    def _break(self, reason: str) -> Broken:
        self._broken = Broken(reason)
        return self._broken


@final
class _Large:
    """A large content on its way, with the end mark behind it, in the memory where it is to stay."""

    # A `BytesIO` is what the standard library has for that: what it holds can be written to from outside, and is handed
    # over without a copy. First it grows with what comes, since who only announces a large content must cost nothing. Once
    # enough is there it gets its final size at once: grown bit by bit, long-lived contents leave gaps of about their own size.

    __slots__ = ("_bytes", "_room", "_size", "_view", "_whole", "have")

    def __init__(self, size: int, begun: bytes) -> None:
        self._size = size
        self._bytes = BytesIO()
        self._bytes.write(begun)
        self._whole = False
        self.have = len(begun)
        self._view = self._room = memoryview(b"")

    @property
    def missing(self) -> int:
        """How many bytes are still to come."""
        return self._size + 1 - self.have

    def write(self, data: bytes) -> bytes:
        """Take what belongs to it, and give the rest back."""
        self._release()
        taken, rest = data[: self.missing], data[self.missing :]
        self._bytes.seek(self.have)
        self._bytes.write(taken)
        self.have += len(taken)
        return rest

    def room(self) -> memoryview | None:
        """Room for all that is missing, once enough has come."""
        self._release()
        if not self.missing:
            return None
        if not self._whole:
            if self.have * _ENOUGH < self._size and (self._size < _UNTOUCHED or self.have < _ENOUGH * _COPIED):
                return None
            begun, self._bytes, self._whole = self._bytes, BytesIO(bytes(self._size + 1)), True
            self._bytes.write(begun.getbuffer())
        self._view = self._bytes.getbuffer()
        self._room = self._view[self.have :]
        return self._room

    def filled(self, count: int) -> bool:
        """So many bytes of the room are taken; whether nothing is missing any more."""
        self._release()
        self.have += count
        return not self.missing

    def _release(self) -> None:
        """Take the room back: by hand, since a traceback might keep it, and the memory cannot change while somebody has it."""
        self._room.release()
        self._view.release()

    def content(self) -> bytes | None:
        """The content, if the end mark stands behind it."""
        self._bytes.seek(self._size)
        if self._bytes.read() != _END_MARK:
            return None
        self._bytes.truncate(self._size)
        return self._bytes.getvalue()
