"""Hooks of enums and literals."""

from __future__ import annotations

from enum import Enum
from math import isfinite
from types import NoneType
from typing import Any, get_args

from cattrs import StructureHandlerNotFoundError

from ipcfold.codec.misfit import Hook, listed, name, shown, wanted
from ipcfold.codec.strict.forms import is_enum
from ipcfold.codec.strict.leaves import PLAIN, Pair

# Any in this file: no single type describes all types, all values of JSON, or all values of a program.


def entries_of(form: Any) -> list[tuple[Any, Any]]:
    """The members of an enum or the values of a literal, each with its value in JSON."""
    items = list(form) if is_enum(form) else list(get_args(form))
    entries = [(item, item._value_ if isinstance(item, Enum) else item) for item in items]
    for item, entry in entries:
        if type(entry) not in {str, int, bool, float, NoneType} or (type(entry) is float and not isfinite(entry)):
            raise StructureHandlerNotFoundError(f"Unsupported value of {name(form)}: {item!r}. JSON has no type for it.", type_=form)
    return entries


def table(form: Any, look: Hook) -> Pair:
    return lookups(name(form), [(item, look(entry)) for item, entry in entries_of(form)])


def lookups(what: str, entries: list[tuple[Any, Any]]) -> Pair:
    """Look up values with their types, because `True`, `1` and `1.0` are equal."""
    items = {(type(entry), entry): item for item, entry in entries}
    if len(items) < len({(type(item), item) for item, _ in entries}):
        raise ValueError(f"two values of {what} look alike in JSON")
    written = {(type(item), item): entry for item, entry in entries}
    wants = f"one of {listed([shown(entry) for _, entry in entries])}"

    def read(value: Any, _: Any = None) -> Any:
        try:
            return items[type(value), value]
        except (KeyError, TypeError):  # a list or an object is not hashable
            raise wanted(wants, value) from None

    def write(value: Any, _: Any = None) -> Any:
        try:
            return written[type(value), value]
        except (KeyError, TypeError):
            raise wanted(wants, value) from None

    return read, write


def flags(form: Any) -> Pair:
    def read(value: Any, _: Any = None) -> Any:
        made = form(PLAIN[int](value))
        if type(made) is not form or made._value_ != value:  # an EJECT flag makes an `int` of unknown bits
            raise wanted(name(form), value)
        return made

    def write(value: Any, _: Any = None) -> Any:
        if type(value) is not form:
            raise wanted(name(form), value)
        return value._value_

    return read, write
