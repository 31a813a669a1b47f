"""Hooks of types that contain no other types, each a pair: how a value is read, and how it is written."""

from __future__ import annotations

import re
from base64 import b85decode, b85encode
from datetime import date, datetime, timedelta
from math import isfinite
from pathlib import Path
from types import NoneType
from typing import Any, Final

import typing_extensions

from ipcfold.codec.misfit import Hook, MisfitError, at, index, key, shown, wanted

# Any in this file: no single type describes all types, all values of JSON, or all values of a program.

Pair = tuple[Hook, Hook]  # how a form is read and written

_FRACTION: Final = re.compile(r"[.]([0-9]{1,6})(?![0-9])")  # of a second
_SECOND: Final = timedelta(seconds=1)


def named(kind: type) -> str:
    return "null" if kind is NoneType else kind.__name__


def exact(kind: type) -> Hook:
    def check(value: Any, _: Any = None) -> Any:
        if type(value) is not kind:
            raise wanted(named(kind), value)
        return value

    return check


PLAIN: Final[dict[type, Hook]] = {kind: exact(kind) for kind in (str, int, bool, NoneType)}


def read_float(value: Any, _: Any = None) -> float:
    """A number. JSON has one type of numbers, and other languages write `1` for `1.0`."""
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise MisfitError("expected float, not so large a number") from None
    if type(value) is not float or not isfinite(value):
        raise wanted("a finite float", value)
    return value


def write_float(value: Any, _: Any = None) -> float:
    """A float, or an integer that a float holds exactly: type checkers accept an `int` as a `float`."""
    if type(value) is float and isfinite(value):
        return value
    if type(value) is int and _fits(value):
        return float(value)
    raise wanted("a finite float", value)


def _fits(value: int) -> bool:
    try:
        return float(value) == value
    except OverflowError:
        return False


def _read_bytes(value: Any, _: Any = None) -> bytes:
    made = b85decode(PLAIN[str](value))
    if len(value) % 5 and b85encode(made[len(value) // 5 * 4 :]).decode() != value[len(value) // 5 * 5 :]:
        raise wanted("bytes as base85", value)  # another text of the same bytes
    return made


def _write_bytes(value: Any, _: Any = None) -> str:
    if type(value) is not bytes:
        raise wanted("bytes", value)
    return b85encode(value).decode()


# `fromisoformat` takes more texts than `isoformat` writes: without seconds, with weeks, a date for its midnight.


def _read_datetime(value: Any, _: Any = None) -> datetime:
    made = datetime.fromisoformat(PLAIN[str](value))
    if made.isoformat() not in (value, _respelled(value)):
        raise wanted("a date and time as ISO 8601", value)
    return made


def _respelled(text: str) -> str:
    """A date and time of another language as Python writes it: Z is an offset, and a fraction has six digits or none."""
    text = f"{text[:-1]}+00:00" if text.endswith("Z") else text
    return _FRACTION.sub(lambda found: f".{found[1]:0<6}" if found[1].strip("0") else "", text, count=1)


def _read_date(value: Any, _: Any = None) -> date:
    made = date.fromisoformat(PLAIN[str](value))
    if made.isoformat() != value:
        raise wanted("a date as ISO 8601", value)
    return made


def _write_datetime(value: Any, _: Any = None) -> str:
    if type(value) is not datetime:
        raise wanted("datetime", value)
    if value.tzinfo is not None and timedelta(0) < abs(value.utcoffset() or timedelta(0)) < _SECOND:
        raise MisfitError("expected an offset of a second or more from UTC: `fromisoformat` loses a smaller one")
    return value.isoformat()


def _write_date(value: Any, _: Any = None) -> str:
    if type(value) is not date:
        raise wanted("date", value)
    return value.isoformat()


def _read_path(value: Any, _: Any = None) -> Path:
    made = Path(PLAIN[str](value))
    if str(made) != value:  # `Path` drops a slash at the end, "./" and the like
        raise wanted(f"the path {shown(str(made))}", value)
    return made


def _write_path(value: Any, _: Any = None) -> str:
    if type(value) is not type(Path()):
        raise wanted("Path", value)
    return str(value)


def json_value(value: Any, _: Any = None) -> Any:
    """A value of type `Any`: what JSON has types for, and nothing that it would change."""
    kind = type(value)
    if kind is list:
        if PLAIN.keys() >= {*map(type, value)}:
            return value
        for number, item in enumerate(value):
            try:
                json_value(item)
            except Exception as error:  # noqa: BLE001 - the place is added to any error, here and below
                raise at(index(number), error)  # noqa: B904 - the error itself, with its place, here and below
    elif kind is dict:
        for text, item in value.items():
            PLAIN[str](text)
            try:
                json_value(item)
            except Exception as error:  # noqa: BLE001
                raise at(key(text), error)  # noqa: B904
    elif kind is float:
        write_float(value)
    elif kind not in {str, int, bool, NoneType}:
        raise wanted("a value of JSON", value)
    return value


# Hooks that return each value of these types as it is.
BULK: Final[dict[Hook, set[type]]] = {**{hook: {kind} for kind, hook in PLAIN.items()}, json_value: {*PLAIN}}


LEAVES: Final[dict[Any, Pair]] = {
    **{kind: (hook, hook) for kind, hook in PLAIN.items()},
    None: (PLAIN[NoneType], PLAIN[NoneType]),
    float: (read_float, write_float),
    bytes: (_read_bytes, _write_bytes),
    datetime: (_read_datetime, _write_datetime),
    date: (_read_date, _write_date),
    Path: (_read_path, _write_path),
    Any: (json_value, json_value),
    typing_extensions.Any: (json_value, json_value),
}

TEXTS: Final = (bytes, datetime, date, Path)  # leaves that JSON has no type for, so that they are texts


def text_key(read: Hook, write: Hook) -> Pair:
    """Keys that are texts in JSON: exactly those that a codec writes, so that two texts are never the same key."""

    def read_key(text: Any, _: Any = None) -> Any:
        made = read(text)
        if write(made) != text:
            raise wanted(f"the text {shown(write(made))}", text)
        return made

    return read_key, write


def number_key(form: Any) -> Pair:
    """Keys that are numbers: exactly the texts that `json` writes, so that two texts are never the same key."""
    make: Hook = {"true": True, "false": False}.__getitem__ if form is bool else form
    text_of: Hook = {True: "true", False: "false"}.__getitem__ if form is bool else form.__repr__
    write_number = write_float if form is float else PLAIN[form]
    wants = f"the text of {'a finite' if form is float else 'a'} {form.__name__}"

    def read(text: Any, _: Any = None) -> Any:
        try:
            number = make(text)
        except (ValueError, KeyError):
            raise wanted(wants, text) from None
        if text_of(number) != text or (form is float and not isfinite(number)):
            raise wanted(wants, text)
        return number

    return read, lambda value, _=None: text_of(write_number(value))
