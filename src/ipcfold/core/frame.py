"""Bytes to frames and back.

A frame is a media type and content, each behind its length, and an end mark. Here bytes become a `Signal` or a
`Message`, once; nothing later compares content. Decoding has three outcomes: a frame, nothing yet, or `Broken`.
A length is checked against its limit before anything is buffered for it.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
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

    START = "connection.start"
    START_OK = "connection.start-ok"
    RECEIVED = "message.received"
    HEARTBEAT = "heartbeat"
    CLOSE = "connection.close"
    CLOSE_OK = "connection.close-ok"

    __hash__ = object.__hash__  # members are singletons, and keys of the tables of transitions: that of Enum is slow

    def __init__(self, verb: str) -> None:
        self.content = b"innmind/ipc:" + verb.encode("ascii")
        self.frame = encode(Message(TEXT_PLAIN, self.content))


_SIGNALS: Final = {signal.content: signal for signal in Signal}
_LONGEST_SIGNAL: Final = max(map(len, _SIGNALS))
_PLAIN: Final = str(TEXT_PLAIN).encode("ascii")


@final
@attrs.frozen
class Broken:
    """The bytes are no frame, and no later byte of that stream can be trusted."""

    reason: str


Frame: TypeAlias = Signal | Message


def refusal(message: Message, limits: Limits) -> Maybe[MessageTooLarge | ReservedMessage]:
    """Why this message must not be sent, if there is a reason; a `TypeError` for what is no message at all."""
    if not (isinstance(message, Message) and isinstance(message.content, bytes) and isinstance(message.media_type, MediaType)):
        raise TypeError(f"a Message of a MediaType and bytes is wanted, not {_made_of(message)}")
    size = len(message.content)
    if size <= _LONGEST_SIGNAL and message.content in _SIGNALS and message.media_type == TEXT_PLAIN:
        return Some(ReservedMessage(message))
    if size > limits.message:
        return Some(MessageTooLarge(size, limits.message))
    return Nothing


def _made_of(value: object) -> str:
    """The types in words; not its `repr`, which may be anybody's code and take any time."""
    if isinstance(value, Message):
        return f"a Message of {type(value.media_type).__name__} and {type(value.content).__name__}"
    return type(value).__name__


def unsendable(limits: Limits, response: Message) -> Exception | None:
    """The same as an exception, for a handler that responds with it."""
    try:
        refused = refusal(response, limits)
    except TypeError as error:
        return error
    return None if refused is Nothing else ValueError(str(refused.unwrap()))


def _parse(media_type: bytes) -> MediaType | None:
    try:
        return MediaType.of(media_type.decode("ascii")).value_or(None)
    except UnicodeDecodeError:
        return None


_parse_cached = lru_cache(maxsize=1024)(_parse)


@final
class Decoder:
    """Bytes in as they come, frames out one by one."""

    __slots__ = ("_at", "_broken", "_data", "_largest", "_limit", "_needed")

    def __init__(self, limit: int) -> None:
        """`limit`: the largest content accepted, in bytes."""
        self._limit = limit
        self._largest = max(limit, _LONGEST_SIGNAL)  # however small messages are to be, signals get through
        self._data: bytes | bytearray = b""
        self._at = 0  # where the next frame starts in the data
        self._needed = _SHORTEST  # how much data from there on is worth another look
        self._broken: Broken | None = None

    @property
    def wanted(self) -> int:
        """How many bytes are known to miss for the next frame."""
        return max(0, self._needed - (len(self._data) - self._at))

    @property
    def buffered(self) -> int:
        """How many bytes of the frame under way are kept, once `next` has nothing more."""
        return len(self._data) - self._at

    def feed(self, data: bytes) -> None:
        """Take what the stream brought."""
        if self._broken is not None:
            return
        if self._at == len(self._data):
            self._data = data
        else:
            if isinstance(self._data, bytearray):
                del self._data[: self._at]
            else:
                self._data = bytearray(memoryview(self._data)[self._at :])
            self._data += data
        self._at = 0

    def next(self) -> Frame | Broken | None:
        """The next whole frame; `None` until more bytes come; `Broken` for ever after a broken one."""
        data, at, end = self._data, self._at, len(self._data)
        if end - at < self._needed:
            return self._broken
        type_end = at + 2 + (data[at] << 8) + data[at + 1]
        content_start = type_end + 4
        if end < content_start:
            self._needed = content_start - at
            return None
        (size,) = _CONTENT_LENGTH.unpack_from(data, type_end)
        if size > self._largest:
            return self._break(f"a content of {size} bytes is over the limit of {self._limit}")
        content_end = content_start + size
        if end <= content_end:
            self._needed = content_end + 1 - at
            return None
        if data[content_end] != _END_MARK[0]:
            return self._break("a frame does not end in the end mark")
        if content_end + 1 == end:  # all is read: an idle peer must not hold its last frame in memory
            self._data, self._at = b"", 0
        else:
            self._at = content_end + 1
        self._needed = _SHORTEST
        if isinstance(data, bytes):
            media_type, content = data[at + 2 : type_end], data[content_start:content_end]
        else:  # a slice of a bytearray would be a copy of its own
            view = memoryview(data)
            media_type, content = bytes(view[at + 2 : type_end]), bytes(view[content_start:content_end])
        parsed = TEXT_PLAIN if media_type == _PLAIN else (_parse_cached if len(media_type) <= _TYPICAL_TYPE else _parse)(media_type)
        # However its type is spelled: a message must never equal a signal, or nobody could send it on.
        if size <= _LONGEST_SIGNAL and (signal := _SIGNALS.get(content)) is not None and parsed == TEXT_PLAIN:
            return signal
        if size > self._limit:
            return self._break(f"a content of {size} bytes is over the limit of {self._limit}")
        if parsed is None:
            return self._break(f"{media_type[:80]!r} is not a media type")
        return Message(parsed, content)

    def _break(self, reason: str) -> Broken:
        self._broken = Broken(reason)
        self._data, self._at, self._needed = b"", 0, _SHORTEST
        return self._broken
