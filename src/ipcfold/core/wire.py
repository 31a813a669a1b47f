"""Encodes frames to bytes, and decodes bytes to frames.

A frame is a media type and a content, each after its length, and an end mark. This module turns bytes into a `Signal` or
a `Message`, once; no later code compares contents. Decoding has three outcomes: a frame, nothing yet, or `Broken`. The
decoder checks a length against its limit before it buffers anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from struct import Struct
from typing import Any, Final, TypeAlias, final

import attrs
from returns.maybe import Maybe, Nothing, Some

from ipcfold.accelerator import accelerate
from ipcfold.core.buffers import Large, Memory, fresh
from ipcfold.errors import MessageTooLarge, ReservedMessage
from ipcfold.limits import Limits
from ipcfold.message import TEXT_PLAIN, MediaType, Message, message_of

_TYPE_LENGTH: Final = Struct(">H")
_CONTENT_LENGTH: Final = Struct(">I")
_END_MARK: Final = b"\xce"
_END: Final = 0xCE  # the same as a number
_SHORTEST: Final = 2 + 4 + 1  # bytes of a frame with an empty type and an empty content
_COPIED: Final = 2**14  # bytes; a larger content is received into memory of its own
_JOINED: Final = 2**16  # bytes; a larger content is written without joining it to its frame
_COSTLY: Final = 16  # frames; what parsing a long media type takes of a client's share, about in time
_TYPICAL_TYPE: Final = 128  # bytes; longer media types are not cached, so that a client cannot fill the memory


MARK: Final = "ipcfold"
"""The parameter that marks a message which answers another message than the one acknowledged last, or none.

The server writes it last, behind a comma if the media type has others, because clients of Innmind/IPC read a second parameter only there.
They then see a message with one parameter more.
"""
_TOLD: Final = "told"  # the value for no message; otherwise it is a number
_LONGEST_TYPE: Final = 0xFFFF
_MOST_PARAMETERS: Final = 64  # of a media type, see `message`


def unmarked(message: Message) -> tuple[Message, int] | None:
    """The message without its mark, and the number of the message that it answers: 0 for none. `None` if it has no valid mark."""
    *parameters, (name, value) = message.media_type.parameters or (("", ""),)
    number = 0 if value == _TOLD else int(value) if value.isdecimal() and value.isascii() and len(value) < _DIGITS else -1
    if name != MARK or number < 0:
        return None
    return Message(_media_type(message.media_type.type, message.media_type.subtype, tuple(parameters)), message.content), number


_DIGITS: Final = 20  # no connection has so many messages


@lru_cache(maxsize=64)
def _media_type(kind: str, subtype: str, parameters: tuple[tuple[str, str], ...]) -> MediaType:
    return TEXT_PLAIN if (kind, subtype, parameters) == ("text", "plain", ()) else MediaType(kind, subtype, parameters)


def encode(message: Message) -> bytes:
    """The frame of the message, even if the message must not be sent."""
    content = message.content
    return b"".join((_beginning(message.media_type), _CONTENT_LENGTH.pack(len(content)), content, _END_MARK))


def _beginning(media_type: MediaType) -> bytes:
    """The beginning of a frame of that media type: its length and the media type."""
    encoded = str(media_type).encode("ascii")
    return _TYPE_LENGTH.pack(len(encoded)) + encoded


class Signal(Enum):
    """A frame with which an end controls the connection; it carries no message."""

    START = b"innmind/ipc:connection.start"
    START_OK = b"innmind/ipc:connection.start-ok"
    RECEIVED = b"innmind/ipc:message.received"
    HEARTBEAT = b"innmind/ipc:heartbeat"
    CLOSE = b"innmind/ipc:connection.close"
    CLOSE_OK = b"innmind/ipc:connection.close-ok"

    __hash__ = object.__hash__  # members are singletons and keys of the transition tables; the hash of Enum is slow

    @property
    def content(self) -> bytes:
        """The content of its frame, of type `text/plain`."""
        return self.value

    @property
    def frame(self) -> bytes:
        """The whole frame."""
        return _FRAMES[self]


_FRAMES: Final = {signal: encode(Message(TEXT_PLAIN, signal.value)) for signal in Signal}
ACKNOWLEDGEMENT: Final = Signal.RECEIVED.frame
GREETING: Final = Signal.START.frame
ACCEPTANCE: Final = Signal.START_OK.frame
FAREWELL: Final = Signal.CLOSE.frame
CONFIRMATION: Final = Signal.CLOSE_OK.frame
_SIGNALS: Final = {signal.content: signal for signal in Signal}
_LONGEST_SIGNAL: Final = max(map(len, _SIGNALS))
_PLAIN: Final = str(TEXT_PLAIN).encode("ascii")
_MARK: Final = MARK.encode("ascii")
_TEXT: Final = _beginning(TEXT_PLAIN)


@final
@attrs.frozen
class Broken:
    """The bytes are not a frame. No later byte of that stream can be trusted."""

    reason: str


Frame: TypeAlias = Signal | Message


def refusal(message: Message, limits: Limits) -> Maybe[MessageTooLarge | ReservedMessage]:
    """The reason why this message must not be sent, if there is one."""
    size = len(message.content)
    if size <= _LONGEST_SIGNAL and message.content in _SIGNALS and message.media_type == TEXT_PLAIN:
        return Some(ReservedMessage(message))
    if any(name == MARK for name, _ in message.media_type.parameters):
        return Some(ReservedMessage(message))
    if size > limits.message:
        return Some(MessageTooLarge(size, limits.message))
    return Nothing


@final
class RefusedError(ValueError):
    """A message that must not be sent."""

    def __init__(self, refusal: MessageTooLarge | ReservedMessage) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


@final
class Encoder:
    """Encodes messages, except those that must not be sent."""

    __slots__ = ("_beginning", "_limit", "_limits", "_media_type", "largest")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._limit = limits.message
        self._media_type: MediaType = TEXT_PLAIN  # that of the last message, because the next one usually has the same
        self._beginning = _TEXT  # the encoding of that media type
        self.largest = 0
        """The size of the largest content so far, in bytes."""

    @accelerate("encode")
    def encode(self, messages: Iterable[Message]) -> list[bytes]:
        """The frames of these messages, in pieces to write. A large content is a piece of its own, and is not copied.

        Raises a `RefusedError` if one of the messages must not be sent, and a `TypeError` if one is not a message.
        """
        pieces: list[bytes] = []
        unchecked: Iterable[Any] = messages  # Any: type checkers would skip what is not of the declared type
        for message in unchecked:
            if type(message) is not Message:
                _check(message)
            content, media_type = message.content, message.media_type
            if type(content) is not bytes or type(media_type) is not MediaType:
                _check(message)
                content = bytes.__bytes__(content)  # a subclass may have a length of its own, and would break the frame
            size = len(content)
            if size > self._limit or (size <= _LONGEST_SIGNAL and content in _SIGNALS):
                self._refuse(Message(media_type, content))  # not the message itself: its content may be of a subclass
            if size > self.largest:  # noqa: PLR1730 - calling `max` for each message costs more
                self.largest = size
            beginning = self._beginning if media_type is self._media_type else self._begin(message)
            if size <= _JOINED:
                pieces.append(b"".join((beginning, _CONTENT_LENGTH.pack(size), content, _END_MARK)))
            else:
                pieces += beginning + _CONTENT_LENGTH.pack(size), content, _END_MARK
        return pieces

    def marked(self, messages: Iterable[Message], number: int) -> list[bytes]:
        """The frames of messages that answer no message of their receiver (`number` 0), or the message of that number, late.

        Raises as `encode` does, and a `ValueError` if the media type of a message has no room for the mark.
        """
        mark = str(number) if number else _TOLD
        pieces: list[bytes] = []
        for message in messages:
            plain = self.encode((message,))
            media_type = str(message.media_type)
            text = f"{media_type}{', ' if message.media_type.parameters else '; '}{MARK}={mark}".encode("ascii")
            if len(text) > _LONGEST_TYPE or len(message.media_type.parameters) >= _MOST_PARAMETERS:
                raise ValueError("the media type of a message that is told or answered later needs room for one more parameter: shorten it")
            header = _TYPE_LENGTH.pack(len(text)) + text
            pieces.append(header + plain[0][2 + len(media_type) :])
            pieces += plain[1:]
        return pieces

    def _refuse(self, message: Message) -> None:
        reason = refusal(message, self._limits).value_or(None)
        if reason is not None:
            raise RefusedError(reason)

    def _begin(self, message: Message) -> bytes:
        media_type = message.media_type
        if any(name == MARK for name, _ in media_type.parameters):
            self._refuse(message)
        beginning = _beginning(media_type)
        if len(beginning) <= _TYPICAL_TYPE:
            self._media_type, self._beginning = media_type, beginning
        return beginning


def _check(message: object) -> None:
    """Raise a `TypeError` if this is not a message."""
    found = type(message).__name__  # only the type's name: a `repr` may be foreign code that takes any time
    if type(message) is Message:  # a subclass could give another content each time
        unchecked: Any = message  # Any: as above
        if isinstance(unchecked.content, bytes) and type(unchecked.media_type) is MediaType:
            return
        found = f"a Message of {type(unchecked.media_type).__name__} and {type(unchecked.content).__name__}"
    raise TypeError(f"a Message of a MediaType and bytes is wanted, not {found}")


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
    """Takes bytes as they arrive, and gives frames."""

    __slots__ = (
        "_at",
        "_broken",
        "_data",
        "_frame_of_likely",
        "_header",
        "_likely",
        "_limit",
        "_marks",
        "_media_type",
        "_memory",
        "_needed",
        "_usual",
        "buffered",
        "fresh",
        "large",
    )

    def __init__(self, limit: int, likely: Signal | None = None, memory: Memory = fresh, *, marks: bool = False) -> None:
        """`limit`: the largest accepted content, in bytes; `likely`: a signal that is frequent; `memory`: for large contents.

        `marks`: whether the other end may mark messages.
        """
        self._marks = marks
        self._limit = limit
        self._memory = memory
        self._data = b""
        self._at = 0  # where the next frame starts in the data
        self._likely = likely
        self._frame_of_likely = b"" if likely is None else likely.frame
        self._media_type: MediaType | Broken = TEXT_PLAIN  # of the frame that is complete, or whose large content is being received
        self._usual: MediaType | None = TEXT_PLAIN  # the same if it is short, because the next frame usually has it, too
        self._header = _TEXT  # the first bytes of a frame with the usual media type
        self._needed = _SHORTEST  # how many bytes are needed there before decoding can continue
        self.large: Large | None = None
        """The large content that is being received, if any."""
        self._broken: Broken | None = None
        self.buffered = 0
        """The number of buffered bytes of an incomplete frame, once `next` has nothing more."""
        self.fresh = False
        """Whether there may be a next frame."""

    def room(self) -> memoryview | None:
        """The memory to read the next bytes into, instead of `feed`, while a large content is being received."""
        return None if self.large is None else self.large.room()

    def filled(self, count: int) -> None:
        """Note that so many bytes were read into the last `room`."""
        if self.large is not None and self.large.filled(count):
            self._needed = 0
            self.fresh = True

    def feed(self, data: bytes) -> None:
        """Take bytes of the stream."""
        if self._broken is not None:
            return
        if self.large is not None and self._needed:
            data = self.large.write(data)
            self._needed = self.large.missing and 1
        self.fresh = True
        self._data = self._data[self._at :] + data if self._data else data
        self._at = 0

    def next(self) -> Frame | Broken | None:
        """The next complete frame; `None` until more bytes arrive; always `Broken` after a broken frame."""
        frames = self.frames(1)
        return frames[0] if frames else self._broken

    def frames(self, most: int) -> list[Frame | Broken]:
        """The next complete frames, at most so many, and fewer of long media types. After a `Broken` there are no more."""
        found: list[Frame | Broken] = []
        if self.large is not None and not self._needed:
            found.append(self._grown(self.large))
        data, at, needed, usual, header = self._data, self._at, self._needed, self._usual, self._header
        end, header_size, limit = len(data), len(header), self._limit
        likely, frame_of_likely = self._likely, self._frame_of_likely
        while end - at >= needed and len(found) < most and self._broken is None:
            if likely is not None and data.startswith(frame_of_likely, at):
                at, needed = at + len(frame_of_likely), _SHORTEST
                found.append(likely)
                continue
            known = usual is not None and data.startswith(header, at)
            type_end = at + header_size if known else at + 2 + (data[at] << 8) + data[at + 1]
            content_start = type_end + 4
            if end < content_start:
                needed = content_start - at
                break
            (size,) = _CONTENT_LENGTH.unpack_from(data, type_end)
            content_end: int = content_start + size
            if size > limit and size > _LONGEST_SIGNAL:  # a signal is accepted even if the limit is smaller
                found.append(self._break(f"a content of {size} bytes is over the limit of {limit}"))
                break
            if end <= content_end and size <= _COPIED:
                needed = content_end + 1 - at
                break
            if not known:
                if type_end - at > _TYPICAL_TYPE:
                    most = max(len(found) + 1, most - _COSTLY)
                marked = self._learn(data[at:type_end])
                usual, header, header_size = None if marked else self._usual, self._header, len(self._header)
            if end <= content_end:
                self.large = Large(size, data[content_start:], self._memory)
                at, needed = end, 1
            elif data[content_end] != _END:
                found.append(self._break("a frame does not end in the end mark"))
            else:
                content = data[content_start:content_end]
                at, needed = content_end + 1, _SHORTEST
                if usual is not None and size <= limit and (size > _LONGEST_SIGNAL or content not in _SIGNALS):
                    found.append(message_of(usual, content))
                else:
                    found.append(self._frame(content))
        if at == end or self._broken is not None:  # all bytes are decoded; an idle connection must not keep its last frame in memory
            data, at, end = b"", 0, 0
        self._data, self._at, self._needed = data, at, needed
        self.buffered = end - at if self.large is None else self.large.have
        self.fresh = len(found) >= most
        return found

    def _learn(self, header: bytes) -> bool:
        """Parse the media type of the frame. Returns whether it has a mark: then it is not the usual one, however many come."""
        if _MARK in header.lower():
            parsed = (_parse_cached if len(header) <= _TYPICAL_TYPE else _parse)(header[2:])
            if isinstance(parsed, MediaType) and any(name == MARK for name, _ in parsed.parameters):
                self._media_type = parsed if self._marks else Broken(f"{header[2:82]!r} has a parameter that only a server may use")
                return True
        if len(header) <= _TYPICAL_TYPE:
            self._media_type, self._header = _parse_cached(header[2:]), header
            self._usual = self._media_type if isinstance(self._media_type, MediaType) else None
        else:
            self._media_type, self._usual = _parse(header[2:]), None
        return False

    def _grown(self, large: Large) -> Frame | Broken:
        """The frame of the large content, which is complete now."""
        self.large, self._needed = None, _SHORTEST
        content, behind = large.content()
        return self._frame(content) if behind == _END_MARK else self._break("a frame does not end in the end mark")

    def _frame(self, content: bytes) -> Frame | Broken:
        size, media_type = len(content), self._media_type
        # An idle connection must not keep a long one in memory, and a marked one is of this frame only.
        self._media_type = TEXT_PLAIN if self._usual is None else self._usual
        # The spelling of the media type does not matter: a message must never equal a signal, because nobody could send it.
        # It mostly is the same object, and to compare two costs more.
        signal = _SIGNALS.get(content) if size <= _LONGEST_SIGNAL else None
        if signal is not None and (media_type is TEXT_PLAIN or media_type == TEXT_PLAIN):
            return signal
        if size > self._limit:
            return self._break(f"a content of {size} bytes is over the limit of {self._limit}")
        if isinstance(media_type, Broken):
            return self._break(media_type.reason)
        return Message(media_type, content)

    def _break(self, reason: str) -> Broken:
        self._broken = Broken(reason)
        return self._broken
