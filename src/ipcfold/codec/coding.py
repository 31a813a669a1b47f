"""A codec converts values of one type to messages of one media type, and back.

A preconfigured converter of cattrs does the work. The codec adds two things. Both directions return a `Result`, whatever
bytes arrive and whatever a validator raises. The default JSON converter never takes a value for one of another type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from types import NoneType, UnionType
from typing import Any, Final, Generic, Protocol, Self, TypeVar, Union, final, get_args, get_origin

import attrs
from cattrs import Converter, transform_error
from cattrs.preconf.json import make_converter
from cattrs.v import format_exception
from returns.result import Failure, Result, Success
from typing_extensions import TypeForm

from ipcfold.message import MediaType, Message
from ipcfold.result import cases

T = TypeVar("T")

_JSON: Final = MediaType("application", "json")
_TAG: Final = "_type"
_SHOWN: Final = 3  # errors that a reason quotes, because a hostile content may have millions
_LONGEST: Final = 240  # characters of a reason, so that a response that quotes it has at most about a KiB

# The JSON types that each type accepts. A number may also be a text, because the keys of JSON objects are always texts.
_EXACT: Final[Mapping[type, tuple[type, ...]]] = {bool: (bool,), str: (str,), int: (int, str), float: (float, int, str)}


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


class Format(Protocol):
    """The interface that the converters of `cattrs.preconf` share, with the types that cattrs declares."""

    def copy(self) -> Self: ...
    def dumps(self, obj: Any, unstructure_as: Any = None) -> str | bytes: ...  # Any: any value that it converts
    def loads(self, data: Any, cl: Any) -> Any: ...  # Any: text or bytes, by the format; a class or another type


def _json() -> Format:
    """A JSON converter that checks types. Without these hooks cattrs reads `3.7` as `3`, `"false"` as `True` and `null` as `"None"`."""
    converter = make_converter(forbid_extra_keys=True)
    for kind, taken in _EXACT.items():
        converter.register_structure_hook(kind, _exactly(kind, taken))
    return converter


def _exactly(kind: type, taken: tuple[type, ...]) -> Callable[[Any, Any], Any]:  # Any: the type of hooks in cattrs, here and below
    def structure(value: Any, target: Any) -> Any:
        if type(value) not in taken or (type(value) is str and str(kind(value)) != value):
            raise TypeError(f"expected {kind.__name__}")
        return target(value)

    return structure


def _fit(codec: Codec[Any]) -> Format:  # Any: a codec of any type
    """A copy of the converter, prepared for the codec's type. A type that it cannot convert raises now, not at the first message."""
    if not isinstance(codec.converter, Converter):
        raise TypeError(f"a Codec needs a converter of cattrs.preconf, not {codec.converter!r:.80}")
    converter = codec.converter.copy()
    converter.register_structure_hook_factory(_is_choice, partial(_union_reader, converter))
    converter.register_unstructure_hook_factory(_is_choice, partial(_union_writer, converter))
    converter.get_structure_hook(codec.form)
    converter.get_unstructure_hook(codec.form)
    return converter


def _members(form: Any) -> list[Any]:  # Any: no single type describes all types, here and below
    """The members of a union; any other type is its own only member."""
    form = getattr(form, "__value__", form)  # a `type` statement keeps the type there
    if get_origin(form) not in {Union, UnionType}:
        return [form]
    return [member for part in get_args(form) for member in _members(part)]


def _is_choice(form: Any) -> bool:
    return bool(_classes(form))


def _classes(form: Any) -> list[Any]:
    """The classes of a union of attrs classes, which may include `None`; no class for any other type."""
    classes = [member for member in _members(form) if member is not NoneType]
    return classes if len(classes) > 1 and all(attrs.has(member) for member in classes) else []


# These hooks tag each union, also nested and recursive ones. The strategy of cattrs needs a list of the unions instead.


def _union_reader(converter: Converter, union: Any) -> Callable[[Any, Any], Any]:
    classes = {member.__name__: member for member in _classes(union)}
    if len(classes) < len(_classes(union)):
        raise ValueError(f"two classes of {union} have the same name, which is their tag in a message: rename one")
    for member in classes.values():
        with suppress(RecursionError):  # the class contains this union, whose hook is not complete yet
            converter.get_structure_hook(member, cache_result=False)
    names, optional = tuple(classes), NoneType in _members(union)  # a tuple, because the received tag may not be hashable

    def structure(value: Any, _: Any) -> Any:
        if value is None and optional:
            return None
        if not isinstance(value, dict) or value.get(_TAG) not in names:
            raise ValueError(f"{_TAG} is none of {', '.join(names)}")
        return converter.structure({key: item for key, item in value.items() if key != _TAG}, classes[value[_TAG]])

    return structure


def _union_writer(converter: Converter, union: Any) -> Callable[[Any], Any]:
    classes = {get_origin(member) or member: member for member in _classes(union)}
    optional = NoneType in _members(union)

    def unstructure(value: Any) -> Any:
        if value is None and optional:
            return None
        member = classes.get(type(value))
        if member is None:
            raise ValueError(f"a {type(value).__name__} is none of {', '.join(kind.__name__ for kind in classes)}")
        return {**converter.unstructure(value, member), _TAG: member.__name__}

    return unstructure


def _writes_text(codec: Codec[Any]) -> bool:
    """Whether the format is text. Some text formats cannot read bytes, and others would accept bytes that are not UTF-8."""
    return isinstance(codec.converter.dumps({}), str)


@final
@attrs.frozen(eq=False)
class Codec(Generic[T]):
    """Converts values of one type to messages of one format and media type, and back.

    - `form`: an attrs class, a union of attrs classes, or any other type that cattrs converts. A type that it does not
      convert raises here. For a union, each message has the name of the class under the key `_type`.
    - `media_type`: the media type of the messages. Decoding ignores parameters, such as a charset.
    - `converter`: a converter of `cattrs.preconf`; the codec uses a copy. Give its `media_type`, too. The default is
      JSON: it refuses unknown keys, and takes no value for one of another type.

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
    'invalid value for type, expected int @ $.width'
    """

    form: TypeForm[T]
    media_type: MediaType = attrs.field(default=_JSON, validator=attrs.validators.instance_of(MediaType))
    converter: Format = attrs.field(factory=_json, repr=False)

    _fitted: Format = attrs.field(init=False, repr=False, default=attrs.Factory(_fit, takes_self=True))
    _text: bool = attrs.field(init=False, repr=False, default=attrs.Factory(_writes_text, takes_self=True))

    def encode(self, value: T) -> Result[Message, Unencodable]:
        """Encode the value as a message."""
        try:
            content = self._fitted.dumps(value, self.form)
            return Success(Message(self.media_type, content.encode() if isinstance(content, str) else content))
        except Exception as error:  # noqa: BLE001 - formats and hooks may raise anything, and each exception is a reason
            return Failure(Unencodable(value, self.media_type, _reason(error)))

    def decode(self, message: Message) -> Result[T, Undecodable]:
        """Decode the value of the message. It never raises, whatever the content is."""
        found, wanted = message.media_type, self.media_type
        if found.subtype != wanted.subtype or found.type != wanted.type:
            start = repr(message.content[:_LONGEST])[1:]  # the content may be an error text, which the reason then shows
            return Failure(Undecodable(message, wanted, _shortened(f"it is {str(found)[:80]}, {start}")))
        try:
            value: T = self._fitted.loads(message.content.decode() if self._text else message.content, self.form)
        except Exception as error:  # noqa: BLE001 - validators may raise anything, too
            return Failure(Undecodable(message, wanted, _reason(error)))
        return Success(value)


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


def _reason(error: Exception) -> str:
    """The text of cattrs for this error, which also gives the place in the content."""
    try:
        told = transform_error(error, format_exception=_told)
    except Exception:  # noqa: BLE001 - the `str` of an exception may raise, too
        told = [type(error).__name__]
    more = [f"and {len(told) - _SHOWN} more"] if len(told) > _SHOWN else []
    return _shortened(", ".join(told[:_SHOWN] + more))


def _told(error: BaseException, kind: type | None) -> str:
    if isinstance(error, ValueError) and kind is None:  # from a validator or the format: its text says more than its type
        return str(error.args[0] if type(error) is ValueError and error.args else error)
    return format_exception(error, kind)


def _shortened(text: str) -> str:
    """The text with a limited length and no control characters, safe for a log and a response."""
    safe = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text[: _LONGEST + 1])
    return safe if len(safe) <= _LONGEST else f"{safe[:_LONGEST]}..."
