"""A codec: values of one type as messages of one media type, and back.

cattrs converts and its preconfigured converters write; what this adds is that both ways end in a `Result`, whatever
bytes come and whatever a validator raises, and that the JSON given by default takes no value for another.
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
_SHOWN: Final = 3  # errors of one content: a stranger's may have millions
_LONGEST: Final = 240  # characters of a reason: a response that quotes it has about a KiB at most

# What JSON may have for each. A number may also be a text, since the keys of JSON's objects cannot be anything else.
_EXACT: Final[Mapping[type, tuple[type, ...]]] = {bool: (bool,), str: (str,), int: (int, str), float: (float, int, str)}


@final
@attrs.frozen
class Undecodable:
    """The message is not what the codec describes: it has another media type, or its content is no such value."""

    message: Message
    media_type: MediaType
    reason: str

    def __str__(self) -> str:
        return f"the message does not decode as {self.media_type} ({self.reason}): make both ends agree on its codec"


@final
@attrs.frozen
class Unencodable:
    """The value cannot be written in the codec's format; nothing was sent."""

    value: object
    media_type: MediaType
    reason: str

    def __str__(self) -> str:
        return f"a {type(self.value).__name__} does not encode as {self.media_type} ({self.reason}): use a value that its codec describes"


class Format(Protocol):
    """What the converters of `cattrs.preconf` have in common: they write and read a format. They are typed as they are there."""

    def copy(self) -> Self: ...
    def dumps(self, obj: Any, unstructure_as: Any = None) -> str | bytes: ...  # Any: what it converts
    def loads(self, data: Any, cl: Any) -> Any: ...  # Any: text or bytes, as the format has it; a class or another type


def _json() -> Format:
    """JSON that takes each value as it is: by itself cattrs makes `3` of `3.7`, `True` of `"false"` and `"None"` of `null`."""
    converter = make_converter(forbid_extra_keys=True)
    for kind, taken in _EXACT.items():
        converter.register_structure_hook(kind, _exactly(kind, taken))
    return converter


def _exactly(kind: type, taken: tuple[type, ...]) -> Callable[[Any, Any], Any]:  # Any: as cattrs has hooks, here and below
    def structure(value: Any, target: Any) -> Any:
        if type(value) not in taken or (type(value) is str and str(kind(value)) != value):
            raise TypeError(f"expected {kind.__name__}")
        return target(value)

    return structure


def _fit(codec: Codec[Any]) -> Format:  # Any: of whatever type
    """A converter of the codec's own that knows its type. A type that cannot be converted raises now, not at the first message."""
    if not isinstance(codec.converter, Converter):
        raise TypeError(f"a converter of cattrs.preconf is wanted, not {codec.converter!r:.80}")
    converter = codec.converter.copy()
    converter.register_structure_hook_factory(_is_choice, partial(_union_reader, converter))
    converter.register_unstructure_hook_factory(_is_choice, partial(_union_writer, converter))
    converter.get_structure_hook(codec.form)
    converter.get_unstructure_hook(codec.form)
    return converter


def _members(form: Any) -> list[Any]:  # Any: types have no one type, here and below
    """The types that make up this one, if it is a union; else itself."""
    form = getattr(form, "__value__", form)  # of a `type` statement
    if get_origin(form) not in {Union, UnionType}:
        return [form]
    return [member for part in get_args(form) for member in _members(part)]


def _is_choice(form: Any) -> bool:
    return bool(_classes(form))


def _classes(form: Any) -> list[Any]:
    """The classes between which this type is a choice: a union of attrs classes, and perhaps `None`; else none."""
    classes = [member for member in _members(form) if member is not NoneType]
    return classes if len(classes) > 1 and all(attrs.has(member) for member in classes) else []


# Unions are tagged wherever they stand, recursive ones too; the strategy that cattrs has for it is for those that one lists.


def _union_reader(converter: Converter, union: Any) -> Callable[[Any, Any], Any]:
    classes = {member.__name__: member for member in _classes(union)}
    if len(classes) < len(_classes(union)):
        raise ValueError(f"classes of the same name cannot be told apart in a message: {union}")
    for member in classes.values():
        with suppress(RecursionError):  # it has this union within, and is being made
            converter.get_structure_hook(member, cache_result=False)
    names, optional = tuple(classes), NoneType in _members(union)  # a tuple, as what comes need not be hashable

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
    """Whether the format is text: some of their readers take no bytes, and others would take what is no UTF-8."""
    return isinstance(codec.converter.dumps({}), str)


@final
@attrs.frozen(eq=False)
class Codec(Generic[T]):
    """What messages of one kind are: values of a type, in a format, under a media type.

    - `form`: an attrs class, a union of attrs classes, or whatever else cattrs converts; what it does not raises here, where
      it is named. In messages the classes of a union are told apart by `_type`, the name of the class.
    - `media_type`: what messages say they are. Of those that come its parameters, such as a charset, are not compared.
    - `converter`: one of `cattrs.preconf`, of which a copy is used; name its `media_type`, too. By default JSON, where
      unknown keys are refused, and no value is taken for one of another type.

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
        """The value as a message, or why it cannot be written."""
        try:
            content = self._fitted.dumps(value, self.form)
            return Success(Message(self.media_type, content.encode() if isinstance(content, str) else content))
        except Exception as error:  # noqa: BLE001 - formats and hooks are somebody else's code: whatever they raise is the reason
            return Failure(Unencodable(value, self.media_type, _reason(error)))

    def decode(self, message: Message) -> Result[T, Undecodable]:
        """The value of the message, or why it holds none, whatever it holds."""
        found, wanted = message.media_type, self.media_type
        if found.subtype != wanted.subtype or found.type != wanted.type:
            start = repr(message.content[:_LONGEST])[1:]  # it may well be a text that says what went wrong
            return Failure(Undecodable(message, wanted, _shortened(f"it is {str(found)[:80]}, {start}")))
        try:
            value: T = self._fitted.loads(message.content.decode() if self._text else message.content, self.form)
        except Exception as error:  # noqa: BLE001 - so are validators
            return Failure(Undecodable(message, wanted, _reason(error)))
        return Success(value)


def encoded(codec: Codec[T], values: Iterable[T]) -> Result[tuple[Message, ...], Unencodable]:
    """All of these values as messages, or why the first that cannot be written cannot."""
    messages = list[Message]()
    for value in values:
        match cases(codec.encode(value)):
            case Success(message):
                messages.append(message)
            case Failure(error):
                return Failure(error)
    return Success(tuple(messages))


def _reason(error: Exception) -> str:
    """Why, in the words of cattrs, which also say where."""
    try:
        told = transform_error(error, format_exception=_told)
    except Exception:  # noqa: BLE001 - somebody else's exception may not even be shown
        told = [type(error).__name__]
    more = [f"and {len(told) - _SHOWN} more"] if len(told) > _SHOWN else []
    return _shortened(", ".join(told[:_SHOWN] + more))


def _told(error: BaseException, kind: type | None) -> str:
    if isinstance(error, ValueError) and kind is None:  # a validator's, or the format's: its text says more than its type
        return str(error.args[0] if type(error) is ValueError and error.args else error)
    return format_exception(error, kind)


def _shortened(text: str) -> str:
    """Fit for a log and a response, whatever a stranger wrote."""
    safe = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text[: _LONGEST + 1])
    return safe if len(safe) <= _LONGEST else f"{safe[:_LONGEST]}..."
