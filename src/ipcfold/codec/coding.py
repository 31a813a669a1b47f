"""A codec converts values of one type to messages of one media type, and back.

The default format is strict JSON: `strict`. A converter of `cattrs.preconf` may take its place: `given.py`. Both
directions return a `Result`, whatever bytes arrive and whatever a validator raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final, Generic, NoReturn, Protocol, TypeVar, final

import attrs
from returns.result import Failure, Result, Success
from typing_extensions import TypeForm

from ipcfold.cause import shown
from ipcfold.codec.given import Format, Given
from ipcfold.codec.misfit import MisfitError, text_of
from ipcfold.codec.strict.hooks import Strict
from ipcfold.message import MediaType, Message
from ipcfold.result import cases

T = TypeVar("T")

_JSON: Final = MediaType("application", "json")
_LONGEST: Final = 240  # characters of a reason, so that a response that quotes it has at most about a KiB


@final
@attrs.frozen
class Undecodable:
    """The codec cannot decode the message: the media type differs, or the content is not a valid value."""

    message: Message
    media_type: MediaType
    reason: str

    def __str__(self) -> str:
        return f"the message does not decode as {self.media_type} ({self.reason}): make both ends agree on its codec"


@final
@attrs.frozen
class Unencodable:
    """The codec cannot encode the value; no message was sent."""

    value: object
    media_type: MediaType
    reason: str

    def __str__(self) -> str:
        return f"a {type(self.value).__name__} does not encode as {self.media_type} ({self.reason}): use a value that its codec describes"


class _Coding(Protocol):
    """A form in a format. Both directions may raise anything, and `reason` is the text of it."""

    # Any: a value of the form
    def encode(self, value: Any, /) -> str | bytes: ...
    def decode(self, content: bytes, /) -> Any: ...
    def reason(self, error: Exception, /) -> str: ...


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:  # Any: a value of JSON
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("two keys of an object are equal")
    return made


# A tree of new lists and dicts has no circle, which the encoder would otherwise look for.
_ENCODER: Final = json.JSONEncoder(allow_nan=False, check_circular=False)
_AS_IT_IS: Final = json.JSONEncoder(allow_nan=False, check_circular=False, ensure_ascii=False)
_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_DECODER: Final = json.JSONDecoder(parse_constant=_no_number, object_pairs_hook=_object)


@final
class _Json:
    """Strict JSON. After an error, hooks that find its place convert the value again. They also stop at the first error."""

    def __init__(self, form: Any) -> None:  # Any: no single type describes all types
        self._read, self._write = Strict().pair(form)
        self._explained = Strict(explain=True).pair(form)

    def encode(self, value: Any, /) -> str:
        try:
            made = self._write(value)
        except Exception as error:
            self._explained[1](value)
            raise error from None  # it converts at the second attempt
        content = _ENCODER.encode(made)
        if "\\ud" in content and _PAIR.search(_AS_IT_IS.encode(made)):
            raise ValueError("a text has two surrogates in a row, which JSON reads as one character")
        return content

    def decode(self, content: bytes, /) -> Any:
        value = _DECODER.decode(content.decode())
        try:
            return self._read(value)
        except Exception as error:
            self._explained[0](value)
            raise error from None

    def reason(self, error: Exception, /) -> str:
        return str(error) if isinstance(error, MisfitError) else f"{text_of(error)} @ $"


def _coding(codec: Codec[Any]) -> _Coding:  # Any: a codec of any type
    return _Json(codec.form) if codec.converter is None else Given(codec.form, codec.converter)


@final
@attrs.frozen(eq=False)
class Codec(Generic[T]):
    """Converts values of one type to messages of one format and media type, and back.

    - `form`: an attrs class, a union of attrs classes, or any other type that the format converts. A type that it does not
      convert raises here. For a union, each message has the name of the class under the key `_type`.
    - `media_type`: the media type of the messages. Decoding ignores parameters, such as a charset.
    - `converter`: a converter of `cattrs.preconf`; the codec uses a copy. Give its `media_type`, too. The default is
      strict JSON, which takes no value for one of another type, in both directions.

    >>> @attrs.frozen
    ... class Resize:
    ...     path: str
    ...     width: int
    >>> codec = Codec(Resize)
    >>> message = codec.encode(Resize("cat.jpg", 320)).unwrap()
    >>> message.content
    b'{"path": "cat.jpg", "width": 320}'
    >>> codec.decode(message)
    <Success: Resize(path='cat.jpg', width=320)>
    >>> wrong = Message(message.media_type, b'{"path": "cat.jpg", "width": "wide"}')
    >>> codec.decode(wrong).failure().reason
    "expected int, not 'wide' @ $.width"
    """

    form: TypeForm[T]
    media_type: MediaType = attrs.field(default=_JSON, validator=attrs.validators.instance_of(MediaType))
    converter: Format | None = attrs.field(default=None, repr=False)

    _coding: _Coding = attrs.field(init=False, repr=False, default=attrs.Factory(_coding, takes_self=True))

    def encode(self, value: T) -> Result[Message, Unencodable]:
        """Encode the value as a message."""
        try:
            content = self._coding.encode(value)
            return Success(Message(self.media_type, content.encode() if isinstance(content, str) else content))
        except Exception as error:  # noqa: BLE001 - formats and hooks may raise anything, and each exception is a reason
            return Failure(Unencodable(value, self.media_type, _shortened(self._coding.reason(error))))

    def decode(self, message: Message) -> Result[T, Undecodable]:
        """Decode the value of the message. It never raises, whatever the content is."""
        found, wanted = message.media_type, self.media_type
        if found.subtype != wanted.subtype or found.type != wanted.type:
            start = repr(message.content[:_LONGEST])[1:]  # the content may be an error text, which the reason then shows
            return Failure(Undecodable(message, wanted, _shortened(f"it is {str(found)[:80]}, {start}")))
        try:
            value: T = self._coding.decode(message.content)
        except Exception as error:  # noqa: BLE001 - validators may raise anything, too
            return Failure(Undecodable(message, wanted, _shortened(self._coding.reason(error))))
        return Success(value)

    def shown(self, message: Message) -> str | None:
        """The text of the message's value, as a transcript of `ipcfold.testing` shows it; `None` if the message does not decode.

        >>> Codec(list[int]).shown(Message.of("application/json", "[1,2]").unwrap())
        '[1, 2]'
        """
        match cases(self.decode(message)):
            case Success(value):
                return _shortened(shown(value))
            case Failure():
                return None


def encoded(codec: Codec[T], values: Iterable[T]) -> Result[tuple[Message, ...], Unencodable]:
    """Encode all values, or return the error of the first value that does not encode."""
    messages = list[Message]()
    for value in values:
        match cases(codec.encode(value)):
            case Success(message):
                messages.append(message)
            case Failure(error):
                return Failure(error)
    return Success(tuple(messages))


def _shortened(text: str) -> str:
    """The text with a limited length and no control characters, safe for a log and a response."""
    safe = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text[: _LONGEST + 1])
    return safe if len(safe) <= _LONGEST else f"{safe[:_LONGEST]}..."
