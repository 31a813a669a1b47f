"""Messages: a media type and content.

The parser of media types follows the token grammar of RFC 9110, section 8.3.1. Types, subtypes and names of parameters
compare without case there. They are stored in lower case, so that equal media types have one spelling on the wire.

Innmind/IPC writes a comma before the second and each later parameter. The parser reads this spelling, too. It is not
ambiguous: no token has a comma, and a comma between quotes belongs to the value. Media types are written with semicolons.

The values here keep exact `str` and `bytes` only. A subclass can replace `__len__` or `__eq__`, so that its length on the
wire would not be the number of its bytes. The methods of `str` and `bytes` themselves make the exact copy.
"""

from __future__ import annotations

import re
from typing import Final, final

import attrs
from returns.maybe import Maybe
from returns.result import Failure, Result, Success

from ipcfold.accelerator import accelerate
from ipcfold.cause import Cause
from ipcfold.draft import draft_of

_TCHARS = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = r'"(?:[\t !#-\[\]-~]++|(?:\\[\t -~])++)*+"'  # possessive, because backtracking state takes 200 times the memory of the text
_ESSENCE = re.compile(rf"({_TCHARS})/({_TCHARS})")
_PARAMETER = re.compile(rf"[ \t]*+([;,])[ \t]*+(?:({_TCHARS})=(?:({_TCHARS})|({_QUOTED})))?")
_LONGEST = 0xFFFF  # a frame has two bytes for the length of the media type
_MOST_PARAMETERS = 64  # parsing thousands from a hostile peer would take milliseconds, and thirty times their length in memory

_TOKEN = re.compile(_TCHARS)  # the cache of `re` costs as much as the match
_TEXT = re.compile(r"[\t -~]*")

Parameters = tuple[tuple[str, str], ...]


@final
@attrs.frozen(repr=False, eq=False)
class InvalidMediaType(Cause):
    """The text is not a media type of RFC 9110, is too long for a frame, or has more than 64 parameters."""

    value: str

    def __str__(self) -> str:
        return f"{self.value[:80]!r} is not a media type: write it as type/subtype, then '; name=value' for each parameter"


def _comparable(parameters: Parameters) -> Parameters:
    # By RFC 9110, section 8.3.2, names of charsets compare without case. Other values compare with case.
    return tuple((name, value.lower() if name == "charset" else value) for name, value in parameters)


def _lowered(parameters: Parameters) -> Parameters:
    return tuple((str.lower(name), _exact(value)) for name, value in parameters)


def _quoted(value: str) -> str:
    if _TOKEN.fullmatch(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquoted(text: str) -> str:
    """The text without its quotes and escapes. The grammar allows no NUL, so a NUL can stand for an escaped backslash."""
    return text[1:-1].replace("\\\\", "\0").replace("\\", "").replace("\0", "\\")


def _exact(text: str) -> str:
    return str.__str__(text)  # a copy if the text is of a subclass, whose methods do not run


def _lower(token: str) -> str:
    return str.lower(token)  # never the method of a subclass


def _check_parameters(_: MediaType, __: attrs.Attribute[Parameters], parameters: Parameters) -> None:
    if len(parameters) > _MOST_PARAMETERS:
        raise ValueError(f"a media type has at most {_MOST_PARAMETERS} parameters")
    for name, value in parameters:
        if not (_TOKEN.fullmatch(name) and _TEXT.fullmatch(value)):
            raise ValueError(f"{name!r}={value!r} is not a parameter of a media type")


def _written(media_type: MediaType) -> str:
    essence = f"{media_type.type}/{media_type.subtype}"
    text = essence + "".join(f"; {name}={_quoted(value)}" for name, value in media_type.parameters)
    if len(text) > _LONGEST:
        raise ValueError(f"a media type has at most {_LONGEST} bytes")
    return text


@final
@attrs.frozen(cache_hash=True)
class MediaType:
    """A media type with its parameters, at most 64.

    >>> html = MediaType.of('Text/HTML; Charset="utf-8"').unwrap()
    >>> str(html)
    'text/html; charset=utf-8'
    >>> html == MediaType.of("text/html;charset=UTF-8").unwrap()
    True
    """

    type: str = attrs.field(converter=_lower, validator=attrs.validators.matches_re(_TCHARS))
    subtype: str = attrs.field(converter=_lower, validator=attrs.validators.matches_re(_TCHARS))
    parameters: Parameters = attrs.field(default=(), converter=_lowered, validator=_check_parameters, eq=_comparable)

    _text: str = attrs.field(  # made once, because every sent message needs it
        init=False, repr=False, eq=False, default=attrs.Factory(_written, takes_self=True)
    )

    @classmethod
    def of(cls, value: str) -> Result[MediaType, InvalidMediaType]:
        """Parse a media type; the text may have at most 64 parameters.

        A comma may separate two parameters, as Innmind/IPC writes it.

        >>> str(MediaType.of("text/plain; charset=utf-8, format=flowed").unwrap())
        'text/plain; charset=utf-8; format=flowed'
        """
        value = _exact(value)
        essence = _ESSENCE.match(value)
        if essence is None:
            return Failure(InvalidMediaType(value))
        parameters, position, count, between = list[tuple[str, str]](), essence.end(), 0, False
        while (found := _PARAMETER.match(value, position)) is not None:
            position = found.end()
            count += 1
            if count > _MOST_PARAMETERS:
                return Failure(InvalidMediaType(value))
            separator, name, token, quoted = found.groups()
            if separator == "," and (name is None or not between):  # only between two parameters; elsewhere it separates media types
                return Failure(InvalidMediaType(value))
            between = name is not None
            if name is not None:  # the grammar allows a ';' without a parameter
                parameters.append((name, token if quoted is None else _unquoted(quoted)))
        if position != len(value):
            return Failure(InvalidMediaType(value))
        try:
            return Success(cls(essence[1], essence[2], tuple(parameters)))
        except ValueError:
            return Failure(InvalidMediaType(value))

    def parameter(self, name: str) -> Maybe[str]:
        """The value of the first parameter of that name. Names compare without case.

        >>> MediaType.of("text/csv; header=absent").unwrap().parameter("Header")
        <Some: absent>
        """
        lowered = _lower(name)
        return Maybe.from_optional(next((value for key, value in self.parameters if key == lowered), None))

    def __str__(self) -> str:
        return self._text


TEXT_PLAIN: Final = MediaType("text", "plain")
OCTET_STREAM: Final = MediaType("application", "octet-stream")


def _encoded(content: str) -> bytes:
    # A `str` may have lone surrogates. They are encoded as they are, so that `Message.text` cannot fail.
    return str.encode(content, "utf-8", "surrogatepass")  # never the method of a subclass


def shortened(content: bytes) -> str:
    """The content as a log or a transcript shows it: its first 64 bytes, and its size if it has more."""
    return repr(content) if len(content) <= 64 else f"{content[:64]!r}... ({len(content)} bytes)"


@final
@attrs.frozen
class Message:
    """One message: a media type and a content. The library does not interpret the content.

    A content of a subclass of `bytes` is copied to `bytes`, because it may have a length of its own.

    >>> Message.text("ping")
    Message(media_type=MediaType(type='text', subtype='plain', parameters=()), content=b'ping')
    """

    media_type: MediaType
    content: bytes = attrs.field(repr=shortened)

    @accelerate("message")
    def __init__(self, media_type: MediaType, content: bytes) -> None:
        # Written by hand, because it runs for each message, and the method that attrs generates takes half as long again.
        _set_media_type(self, media_type)
        if type(content) is not bytes and isinstance(content, bytes):
            content = bytes.__bytes__(content)
        _set_content(self, content)

    @classmethod
    def text(cls, content: str) -> Message:
        """A `text/plain` message in UTF-8."""
        return cls(TEXT_PLAIN, _encoded(content))

    @classmethod
    def octets(cls, content: bytes) -> Message:
        """An `application/octet-stream` message."""
        return cls(OCTET_STREAM, content)

    @classmethod
    def of(cls, media_type: str, content: bytes | str) -> Result[Message, InvalidMediaType]:
        """Make a message of this media type; a `str` is encoded in UTF-8.

        >>> Message.of("application/json", "[]").unwrap().content
        b'[]'
        """
        octets = _encoded(content) if isinstance(content, str) else content
        return MediaType.of(media_type).map(lambda parsed: cls(parsed, octets))

    def identified(self, key: str) -> Message:
        """The same message with an identity, so that a server which uses `ipcfold.handlers.once` folds it once.

        The identity is the parameter `id` of the media type.

        >>> Message.text("pay").identified("order 7").identity
        <Some: order 7>
        """
        from urllib.parse import quote  # noqa: PLC0415 - few messages have an identity

        parameters = (*anonymous(self.media_type).parameters, (_IDENTITY, quote(key, safe="", errors="surrogatepass")))
        return Message(MediaType(self.media_type.type, self.media_type.subtype, parameters), self.content)

    @property
    def identity(self) -> Maybe[str]:
        """The identity of the message, if it has one."""
        from urllib.parse import unquote  # noqa: PLC0415 - as above

        return self.media_type.parameter(_IDENTITY).map(lambda key: unquote(key, errors="surrogatepass"))


def anonymous(media_type: MediaType) -> MediaType:
    """The same media type without the identity of a message."""
    parameters = media_type.parameters
    others = tuple(each for each in parameters if each[0] != _IDENTITY)
    return media_type if len(others) == len(parameters) else MediaType(media_type.type, media_type.subtype, others)


def message_of(media_type: MediaType, content: bytes) -> Message:
    """A message that arrived, whose content is exactly `bytes`. To call the class costs more."""
    made = _Draft()
    made.media_type, made.content = media_type, content
    made.__class__ = Message
    message: Message = made
    return message


_Draft: Final = draft_of(Message)
_IDENTITY: Final = "id"
_set_media_type = vars(Message)["media_type"].__set__
_set_content = vars(Message)["content"].__set__
