"""The hooks of lists, sets, tuples and mappings, made of the hooks of what they contain."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, get_args, get_origin, get_type_hints

import typing_extensions
from cattrs import StructureHandlerNotFoundError

from ipcfold.codec.misfit import Hook, MisfitError, at, name, wanted
from ipcfold.codec.strict.choices import table
from ipcfold.codec.strict.classes import only
from ipcfold.codec.strict.elements import check_hashes, each, fixed, keys_of, values_of
from ipcfold.codec.strict.forms import MAPPINGS, SEQUENCES, bare, factory_of, is_choice, is_flags, is_unpacked, put, variables_of
from ipcfold.codec.strict.leaves import LEAVES, PLAIN, TEXTS, Pair, exact, json_value, number_key, text_key

# Any in this file: no single type describes all types, all values of JSON, or all values of a program.

Pairing: TypeAlias = Callable[[Any], Pair]
"""How to read and how to write a form: `Strict.pair`."""


def sequence(form: Any, pair: Pairing) -> Pair:
    kind = SEQUENCES[get_origin(form) or form]
    read, write = pair(get_args(form)[0] if get_args(form) else Any)
    check = exact(kind)
    each_read, each_write = each(read), each(write)

    def read_it(value: Any, _: Any = None) -> Any:
        if type(value) is not list:
            raise wanted(name(form), value)
        items = each_read(value)
        if kind is list:
            return items
        if kind in (set, frozenset):
            check_hashes(items)
        made = kind(items)
        if len(made) != len(items):
            raise MisfitError(f"expected {name(form)}, and two elements are equal")
        return made

    if kind in (list, tuple):  # `json` writes both as a list
        return read_it, lambda value, _=None: each_write(check(value))
    return read_it, lambda value, _=None: each_write(list(check(value)))


def fixed_tuple(form: Any, pair: Pairing) -> Pair:
    if any(is_unpacked(argument) for argument in get_args(form)):
        raise StructureHandlerNotFoundError(f"Unsupported type: {form!r}. No codec of JSON converts an unpacked tuple.", type_=form)
    pairs = [pair(argument) for argument in get_args(form)]
    read, write = fixed([read for read, _ in pairs]), fixed([write for _, write in pairs])
    what, check = f"{name(form)} of {len(pairs)} elements", exact(tuple)

    def read_it(value: Any, _: Any = None) -> Any:
        if type(value) is not list or len(value) != len(pairs):
            raise wanted(what, value)
        return tuple(read(value))

    def write_it(value: Any, _: Any = None) -> Any:
        if len(check(value)) != len(pairs):
            raise wanted(what, value)
        return write(value)

    return read_it, write_it


def named_tuple(form: Any, pair: Pairing) -> Pair:
    hints = get_type_hints(form, include_extras=True)
    pairs = [pair(hints.get(field, Any)) for field in form._fields]
    read, write = fixed([read for read, _ in pairs]), fixed([write for _, write in pairs])
    check = exact(form)

    def read_it(value: Any, _: Any = None) -> Any:
        if type(value) is not list or len(value) != len(pairs):
            raise wanted(f"{name(form)} of {len(pairs)} elements", value)
        return form(*read(value))

    return read_it, lambda value, _=None: write(check(value))


def mapping(form: Any, pair: Pairing) -> Pair:
    kind = MAPPINGS[get_origin(form) or form]
    arguments = get_args(form) or (Any, Any)
    key_form, value_form = (arguments[0], int) if kind is Counter else arguments
    read_key, write_key = _key(key_form, pair)
    read, write = pair(value_form)
    each_read, each_write = values_of(read), values_of(write)
    plain = read_key is PLAIN[str]
    make: Hook = partial(defaultdict, factory_of(value_form)) if kind is defaultdict else kind
    check = exact(kind)

    def read_it(value: Any, _: Any = None) -> Any:
        if type(value) is not dict:
            raise wanted(name(form), value)
        items = each_read(value)
        if not plain:
            keys = keys_of(read_key, value)
            check_hashes(keys)
            items = dict(zip(keys, items.values(), strict=True))
            if len(items) != len(value):
                raise MisfitError(f"expected {name(form)}, and two keys are equal")
        return items if kind is dict else make(items)

    def write_it(value: Any, _: Any = None) -> Any:
        items = each_write(check(value))
        if plain and {*map(type, value)} <= {str}:
            return items
        return dict(zip(keys_of(write_key, value), items.values(), strict=True))

    return read_it, write_it


def _key(form: Any, pair: Pairing) -> Pair:
    """How the keys of a mapping are read and written: JSON has only texts as keys, so a tuple is the text of its list."""
    form = bare(form)
    if form is str or (form in LEAVES and LEAVES[form][0] is json_value):
        return LEAVES[str]
    if form in (int, float, bool):
        return number_key(form)
    if is_choice(form) and not is_flags(form):
        return table(form, lambda item: item if type(item) is str else json.dumps(item))
    if form in TEXTS:
        return text_key(*LEAVES[form])
    if get_origin(form) is tuple:
        for argument in get_args(form):
            if argument is not ...:
                _key(argument, pair)  # it refuses what cannot be in a key
        read, write = pair(form)
        return text_key(lambda text: read(json.loads(text)), lambda item: json.dumps(write(item), ensure_ascii=False))
    raise StructureHandlerNotFoundError(f"Unsupported type of keys: {form!r}. JSON has only texts as keys.", type_=form)


def typed_dict(form: Any, pair: Pairing) -> Pair:
    origin = get_origin(form) or form
    variables = variables_of(form)
    hints = typing_extensions.get_type_hints(origin, include_extras=True)
    pairs = {field: pair(put(bare(hint), variables)) for field, hint in hints.items()}
    required = frozenset(origin.__required_keys__)

    def convert(which: int, value: Any) -> Any:
        if type(value) is not dict:
            raise wanted(name(form), value)
        only(pairs.keys(), required, value)
        made = {}
        for field, item in value.items():
            try:
                made[field] = pairs[field][which](item)
            except Exception as error:  # noqa: BLE001
                raise at(f".{field}", error)  # noqa: B904
        return made

    return lambda value, _=None: convert(0, value), lambda value, _=None: convert(1, value)
