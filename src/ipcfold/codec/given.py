"""Formats of cattrs that the program gives. The codec uses the converter as it is, and adds tags to unions of attrs classes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import NoneType
from typing import Any, Final, Protocol, Self, final, get_origin

import attrs
from cattrs import Converter, transform_error
from cattrs.v import format_exception

from ipcfold.codec.misfit import text_of
from ipcfold.codec.strict.forms import TAG, members

_DETAILED: Final = 1024  # bytes of a content of which cattrs may collect all errors: it takes some 30 us for each
_SHOWN: Final = 3  # errors that a reason quotes


class Format(Protocol):
    """The interface that the converters of `cattrs.preconf` share, with the types that cattrs declares."""

    def copy(self) -> Self: ...
    def dumps(self, obj: Any, unstructure_as: Any = None) -> str | bytes: ...  # Any: any value that it converts
    def loads(self, data: Any, cl: Any) -> Any: ...  # Any: text or bytes, by the format; a class or another type


@final
class Given:
    """Encodes and decodes with copies of a converter. It stops at the first error, whatever the converter collects.

    A copy that collects errors then reads the content again, if the content is short, for the place of the error.
    """

    def __init__(self, form: Any, converter: Format) -> None:  # Any: no single type describes all types, here and below
        if not isinstance(converter, Converter):
            raise TypeError(f"a Codec needs a converter of cattrs.preconf, not {converter!r:.80}")
        self._form = form
        self._quick = _fitted(form, converter.copy(detailed_validation=False))
        self._detailed = _fitted(form, converter.copy())
        # Some text formats cannot read bytes, and others would accept bytes that are not UTF-8.
        self._text = isinstance(self._quick.dumps({}), str)

    def encode(self, value: Any) -> str | bytes:
        content: str | bytes = self._quick.dumps(value, self._form)
        return content

    def decode(self, content: bytes) -> Any:
        data = content.decode() if self._text else content
        try:
            return self._quick.loads(data, self._form)
        except Exception:
            if len(content) <= _DETAILED:
                self._detailed.loads(data, self._form)
            raise

    def reason(self, error: Exception) -> str:
        return _reason(error)


def _fitted(form: Any, converter: Any) -> Any:
    """The converter, prepared for the form. A form that it cannot convert raises now, not at the first message."""
    converter.register_structure_hook_factory(_is_choice, partial(_union_reader, converter))
    converter.register_unstructure_hook_factory(_is_choice, partial(_union_writer, converter))
    converter.get_structure_hook(form)
    converter.get_unstructure_hook(form)
    return converter


def _is_choice(form: Any) -> bool:
    return bool(_classes(form))


def _classes(form: Any) -> list[Any]:
    """The classes of a union of attrs classes, which may include `None`; no class for any other type."""
    classes = [member for member in members(form) if member is not NoneType]
    return classes if len(classes) > 1 and all(attrs.has(member) for member in classes) else []


# These hooks tag each union, also nested and recursive ones. The strategy of cattrs needs a list of the unions instead.


def _union_reader(converter: Converter, union: Any) -> Callable[[Any, Any], Any]:
    classes = {member.__name__: member for member in _classes(union)}
    if len(classes) < len(_classes(union)):
        raise ValueError(f"two classes of {union} have the same name, which is their tag in a message: rename one")
    for member in classes.values():
        with suppress(RecursionError):  # the class contains this union, whose hook is not complete yet
            converter.get_structure_hook(member, cache_result=False)
    names, optional = tuple(classes), NoneType in members(union)  # a tuple, because the received tag may not be hashable

    def structure(value: Any, _: Any) -> Any:
        if value is None and optional:
            return None
        if not isinstance(value, dict) or value.get(TAG) not in names:
            raise ValueError(f"{TAG} is none of {', '.join(names)}")
        return converter.structure({key: item for key, item in value.items() if key != TAG}, classes[value[TAG]])

    return structure


def _union_writer(converter: Converter, union: Any) -> Callable[[Any], Any]:
    classes = {get_origin(member) or member: member for member in _classes(union)}
    optional = NoneType in members(union)

    def unstructure(value: Any) -> Any:
        if value is None and optional:
            return None
        member = classes.get(type(value))
        if member is None:
            raise ValueError(f"a {type(value).__name__} is none of {', '.join(kind.__name__ for kind in classes)}")
        return {**converter.unstructure(value, member), TAG: member.__name__}

    return unstructure


def _reason(error: Exception) -> str:
    """The text of cattrs for this error, which also gives the place in the content."""
    try:
        told = transform_error(error, format_exception=_told)
    except Exception:  # noqa: BLE001 - the `str` of an exception may raise, too
        told = [type(error).__name__]
    more = [f"and {len(told) - _SHOWN} more"] if len(told) > _SHOWN else []
    return ", ".join(told[:_SHOWN] + more)


def _told(error: BaseException, kind: type | None) -> str:
    if isinstance(error, ValueError) and kind is None:  # from a validator or the format: its text says more than its type
        return text_of(error)
    return format_exception(error, kind)
