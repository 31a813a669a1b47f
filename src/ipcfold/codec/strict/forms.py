"""Facts about types as a program writes them."""

from __future__ import annotations

import dataclasses
from collections import Counter, OrderedDict, defaultdict, deque
from collections import abc as collections_abc
from enum import Enum, Flag
from pathlib import Path
from types import UnionType
from typing import Any, Final, Generic, Literal, Protocol, TypeVar, Union, Unpack, get_args, get_origin

import attrs
import typing_extensions
from cattrs import StructureHandlerNotFoundError

from ipcfold.codec.strict.leaves import PLAIN, TEXTS

# Any in this file: no single type describes all types, all values of JSON, or all values of a program.

TAG: Final = "_type"

SEQUENCES: Final[dict[Any, type]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    deque: deque,
    collections_abc.Sequence: tuple,
    collections_abc.MutableSequence: list,
    collections_abc.Set: frozenset,
    collections_abc.MutableSet: set,
}

MAPPINGS: Final[dict[Any, type]] = {
    dict: dict,
    OrderedDict: OrderedDict,
    defaultdict: defaultdict,
    Counter: Counter,
    collections_abc.Mapping: dict,
    collections_abc.MutableMapping: dict,
}


def bare(form: Any) -> Any:
    """The type without its names and notes: `type` statements, NewType, Annotated, Final and the like."""
    while True:
        if hasattr(form, "__supertype__"):
            form = form.__supertype__
        elif hasattr(form, "__metadata__"):
            form = form.__origin__
        elif hasattr(get_origin(form), "__value__"):  # pragma: no cover - only Python 3.12 has `type` statements
            alias = get_origin(form)
            form = put(alias.__value__, dict(zip(alias.__type_params__, get_args(form), strict=True)))
        elif hasattr(form, "__value__") and not isinstance(form, type):
            form = form.__value__
        elif getattr(get_origin(form), "_name", None) in {"Final", "Required", "NotRequired", "ReadOnly"}:
            (form,) = get_args(form)
        else:
            return form


def members(form: Any) -> list[Any]:
    """The members of a union; any other type is its own only member."""
    form = bare(form)
    if get_origin(form) not in {Union, UnionType}:
        return [form]
    return [member for part in get_args(form) for member in members(part)]


def put(form: Any, variables: dict[Any, Any]) -> Any:
    """The form with types in the place of its type variables."""
    if isinstance(form, TypeVar):
        return variables.get(form, form)
    parameters = () if isinstance(form, type) and not get_args(form) else getattr(form, "__parameters__", ())
    return form[tuple(variables.get(parameter, parameter) for parameter in parameters)] if parameters else form


def variables_of(form: Any) -> dict[Any, Any]:
    """The types of all type variables of a generic class and of its bases."""
    origin = get_origin(form) or form
    types = dict(zip(getattr(origin, "__parameters__", ()), get_args(form), strict=False))
    for base in getattr(origin, "__orig_bases__", ()):
        if get_origin(base) not in {None, Generic, Protocol, typing_extensions.Protocol}:
            types.update(variables_of(put(base, types)))
    return types


def is_class(form: Any) -> bool:
    origin = get_origin(form) or form
    return isinstance(origin, type) and (attrs.has(origin) or dataclasses.is_dataclass(origin))


def is_enum(form: Any) -> bool:
    return isinstance(form, type) and issubclass(form, Enum)


def is_named_tuple(form: Any) -> bool:
    return isinstance(form, type) and issubclass(form, tuple) and hasattr(form, "_fields")


def is_unpacked(argument: Any) -> bool:
    """Whether it is the `*tuple[int, ...]` in another tuple."""
    return getattr(argument, "__unpacked__", False) or get_origin(argument) in {Unpack, typing_extensions.Unpack}


def factory_of(form: Any) -> Any:
    """A defaultdict of this form calls the result for a missing value; `None` if the type of its values cannot be called so."""
    form = bare(form)
    made = get_origin(form) or form
    return form if isinstance(made, type) and made is not Any and made is not UnionType else None


def kind_in_json(part: Any) -> type:
    """The type of `json` that a member of a union has in a content."""
    origin = get_origin(part) or part
    if part in PLAIN or part is float:
        return float if part is float else next(kind for kind in PLAIN if kind is part)
    if part in TEXTS:
        return str
    if is_flags(part):
        return int
    if origin in SEQUENCES or is_named_tuple(part):
        return list
    if origin in MAPPINGS or is_class(part) or typing_extensions.is_typeddict(part):
        return dict
    raise StructureHandlerNotFoundError(f"Unsupported member of a union: {part!r}.", type_=part)


def class_of(part: Any) -> type:
    """The class of the values of a member of a union."""
    if part is Path:
        return type(Path())
    origin = get_origin(part) or part
    if typing_extensions.is_typeddict(part):
        return dict
    return SEQUENCES.get(origin) or MAPPINGS.get(origin) or origin


def is_choice(form: Any) -> bool:
    return get_origin(form) is Literal or is_enum(form)


def is_flags(form: Any) -> bool:
    return isinstance(form, type) and issubclass(form, Flag)
