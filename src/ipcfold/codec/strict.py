"""JSON that takes no value for one of another type, in both directions.

A form is a type as a program writes it. `Strict` makes two hooks of a form: one reads what `json` parsed, one writes what
`json` prints. cattrs generates the functions for classes. It keeps these rules:

- A hook takes a value of exactly its type. It raises at the first wrong value, so an error costs no more than the value.
- What a hook writes, the hook of the same form reads as an equal value.
- Two members of a union never look alike in JSON. A form that breaks this rule raises where it is named.
"""

from __future__ import annotations

import dataclasses
import json
from base64 import b85decode, b85encode
from collections import Counter, OrderedDict, defaultdict, deque
from collections import abc as collections_abc
from collections.abc import Callable, Iterable
from datetime import date, datetime
from enum import Enum, Flag
from functools import partial
from math import isfinite
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Generic, Literal, Protocol, TypeVar, Union, final, get_args, get_origin, get_type_hints, is_typeddict

import attrs
import typing_extensions
from cattrs import Converter, StructureHandlerNotFoundError
from cattrs.disambiguators import create_default_dis_func
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from ipcfold.codec.misfit import Hook, MisfitError, at, index, key, listed, name, shown, wanted

# Any in this file: no single type describes all types, all values of JSON, or all values of a program.

TAG: Final = "_type"
_CROWD: Final = 64  # so many keys may have equal hashes, before a set or dict of them would take too long

_Pair = tuple[Hook, Hook]  # how a form is read and written

_SEQUENCES: Final[dict[Any, type]] = {
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
_MAPPINGS: Final[dict[Any, type]] = {
    dict: dict,
    OrderedDict: OrderedDict,
    defaultdict: defaultdict,
    Counter: Counter,
    collections_abc.Mapping: dict,
    collections_abc.MutableMapping: dict,
}


def _named(kind: type) -> str:
    return "null" if kind is NoneType else kind.__name__


def _exact(kind: type) -> Hook:
    def check(value: Any, _: Any = None) -> Any:
        if type(value) is not kind:
            raise wanted(_named(kind), value)
        return value

    return check


_PLAIN: Final[dict[type, Hook]] = {kind: _exact(kind) for kind in (str, int, bool, NoneType)}


def _read_float(value: Any, _: Any = None) -> float:
    """A number. JSON has one type of numbers, and other languages write `1` for `1.0`."""
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise MisfitError("expected float, not so large a number") from None
    if type(value) is not float or not isfinite(value):
        raise wanted("a finite float", value)
    return value


def _write_float(value: Any, _: Any = None) -> float:
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
    made = b85decode(_PLAIN[str](value))
    if len(value) % 5 and b85encode(made[len(value) // 5 * 4 :]).decode() != value[len(value) // 5 * 5 :]:
        raise wanted("bytes as base85", value)  # another text of the same bytes
    return made


def _write_bytes(value: Any, _: Any = None) -> str:
    return b85encode(_exact(bytes)(value)).decode() if value else _empty(value)


def _empty(value: Any) -> str:
    _exact(bytes)(value)
    return ""


def _read_datetime(value: Any, _: Any = None) -> datetime:
    if "T" not in _PLAIN[str](value):  # `fromisoformat` also takes a date for its midnight
        raise wanted("a date and time as ISO 8601", value)
    return datetime.fromisoformat(value)


def _read_date(value: Any, _: Any = None) -> date:
    return date.fromisoformat(_PLAIN[str](value))


def _write_iso(kind: type) -> Hook:
    check = _exact(kind)
    return lambda value, _=None: check(value).isoformat()


def _read_path(value: Any, _: Any = None) -> Path:
    return Path(_PLAIN[str](value))


def _write_path(value: Any, _: Any = None) -> str:
    if type(value) is not type(Path()):
        raise wanted("Path", value)
    return str(value)


def _json_value(value: Any, _: Any = None) -> Any:
    """A value of type `Any`: what JSON has types for, and nothing that it would change."""
    kind = type(value)
    if kind is list:
        if _PLAIN.keys() >= {*map(type, value)}:
            return value
        for number, item in enumerate(value):
            try:
                _json_value(item)
            except Exception as error:  # noqa: BLE001 - the place is added to any error, here and below
                raise at(index(number), error)  # noqa: B904 - the error itself, with its place, here and below
    elif kind is dict:
        for text, item in value.items():
            _PLAIN[str](text)
            try:
                _json_value(item)
            except Exception as error:  # noqa: BLE001
                raise at(key(text), error)  # noqa: B904
    elif kind is float:
        _write_float(value)
    elif kind not in {str, int, bool, NoneType}:
        raise wanted("a value of JSON", value)
    return value


# Hooks that return each value of these types as it is.
_BULK: Final[dict[Hook, set[type]]] = {**{hook: {kind} for kind, hook in _PLAIN.items()}, _json_value: {*_PLAIN}}

_LEAVES: Final[dict[Any, _Pair]] = {
    **{kind: (hook, hook) for kind, hook in _PLAIN.items()},
    None: (_PLAIN[NoneType], _PLAIN[NoneType]),
    float: (_read_float, _write_float),
    bytes: (_read_bytes, _write_bytes),
    datetime: (_read_datetime, _write_iso(datetime)),
    date: (_read_date, _write_iso(date)),
    Path: (_read_path, _write_path),
    Any: (_json_value, _json_value),
    typing_extensions.Any: (_json_value, _json_value),
}
_TEXTS: Final = (bytes, datetime, date, Path)  # leaves that JSON has no type for, so that they are texts


def bare(form: Any) -> Any:
    """The type without its names and notes: `type` statements, NewType, Annotated, Final and the like."""
    while True:
        if hasattr(form, "__supertype__"):
            form = form.__supertype__
        elif hasattr(form, "__metadata__"):
            form = form.__origin__
        elif hasattr(get_origin(form), "__value__"):
            form = get_origin(form).__value__[get_args(form)]
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


def _put(form: Any, variables: dict[Any, Any]) -> Any:
    """The form with types in the place of its type variables."""
    if isinstance(form, TypeVar):
        return variables.get(form, form)
    parameters = () if isinstance(form, type) and not get_args(form) else getattr(form, "__parameters__", ())
    return form[tuple(variables.get(parameter, parameter) for parameter in parameters)] if parameters else form


def _variables(form: Any) -> dict[Any, Any]:
    """The types of all type variables of a generic class and of its bases."""
    origin = get_origin(form) or form
    known = dict(zip(getattr(origin, "__parameters__", ()), get_args(form), strict=False))
    for base in getattr(origin, "__orig_bases__", ()):
        if get_origin(base) not in {None, Generic, Protocol, typing_extensions.Protocol}:
            known.update(_variables(_put(base, known)))
    return known


def _is_class(form: Any) -> bool:
    origin = get_origin(form) or form
    return isinstance(origin, type) and (attrs.has(origin) or dataclasses.is_dataclass(origin))


def _is_enum(form: Any) -> bool:
    return isinstance(form, type) and issubclass(form, Enum)


def _is_named_tuple(form: Any) -> bool:
    return isinstance(form, type) and issubclass(form, tuple) and hasattr(form, "_fields")


_Override: Final = type(override())


@attrs.frozen
class _Field:
    name: str
    alias: str
    form: Any
    required: bool
    read: Hook
    write: Hook
    override: Any

    @property
    def key(self) -> str:
        return str(self.override.rename or self.name)


@final
class Strict:
    """Makes the hooks of forms, each once, so that a class may contain itself.

    `explain` makes hooks that also add the fields of classes to the path of an error. They are slower, and used after an error.
    """

    def __init__(self, *, explain: bool = False) -> None:
        self._explain = explain
        self._made: dict[Any, _Pair | None] = {}
        self._inner: dict[Any, Hook] = {}  # the writers of classes that do not look at the class
        self._cattrs = Converter(detailed_validation=False, forbid_extra_keys=True)

    def pair(self, form: Any) -> _Pair:
        """How to read and how to write this form."""
        form = bare(form)
        if form in _LEAVES:
            return _LEAVES[form]
        if form not in self._made:
            self._made[form] = None  # a class that contains itself finds this, and looks up its hook when it needs it
            try:
                self._made[form] = self._make(form)
            except BaseException:
                del self._made[form]
                raise
        made = self._made[form]
        return made or (lambda value, _=None: self._late(form)[0](value), lambda value, _=None: self._late(form)[1](value))

    def _late(self, form: Any) -> _Pair:
        made = self._made[form]
        assert made is not None  # noqa: S101 - the codec is complete before it gets a value
        return made

    def _make(self, form: Any) -> _Pair:
        origin = get_origin(form) or form
        makers: list[tuple[bool, Callable[[Any], _Pair]]] = [
            (len(members(form)) > 1, self._union),
            (origin is Literal or _is_enum(form), self._choice),
            (_is_named_tuple(form), self._named_tuple),
            (is_typeddict(form) or typing_extensions.is_typeddict(form), self._typed_dict),
            (_is_class(form), self._class),
            (origin is tuple and get_args(form)[-1:] != (...,) and form is not tuple and not _is_bare_tuple(form), self._tuple),
            (_known(origin, _SEQUENCES), self._sequence),
            (_known(origin, _MAPPINGS), self._mapping),
        ]
        for fits, make in makers:
            if fits:
                return make(form)
        raise StructureHandlerNotFoundError(f"Unsupported type: {form!r}. No codec of JSON converts it.", type_=form)

    # Lists, sets and tuples

    def _sequence(self, form: Any) -> _Pair:
        kind = _SEQUENCES[get_origin(form) or form]
        read, write = self.pair(get_args(form)[0] if get_args(form) else Any)
        check = _exact(kind)
        each_read, each_write = _each(read), _each(write)

        def read_it(value: Any, _: Any = None) -> Any:
            if type(value) is not list:
                raise wanted(name(form), value)
            items = each_read(value)
            if kind is list:
                return items
            if kind in (set, frozenset):
                _hashable(items)
            made = kind(items)
            if len(made) != len(items):
                raise MisfitError(f"expected {name(form)}, and two elements are equal")
            return made

        if kind in (list, tuple):  # `json` writes both as a list
            return read_it, lambda value, _=None: each_write(check(value))
        return read_it, lambda value, _=None: each_write(list(check(value)))

    def _tuple(self, form: Any) -> _Pair:
        pairs = [self.pair(argument) for argument in get_args(form)]
        read, write = _fixed([read for read, _ in pairs]), _fixed([write for _, write in pairs])
        what, check = f"{name(form)} of {len(pairs)} elements", _exact(tuple)

        def read_it(value: Any, _: Any = None) -> Any:
            if type(value) is not list or len(value) != len(pairs):
                raise wanted(what, value)
            return tuple(read(value))

        def write_it(value: Any, _: Any = None) -> Any:
            if len(check(value)) != len(pairs):
                raise wanted(what, value)
            return write(value)

        return read_it, write_it

    def _named_tuple(self, form: Any) -> _Pair:
        hints = get_type_hints(form, include_extras=True)
        pairs = [self.pair(hints.get(field, Any)) for field in form._fields]
        read, write = _fixed([read for read, _ in pairs]), _fixed([write for _, write in pairs])
        check = _exact(form)

        def read_it(value: Any, _: Any = None) -> Any:
            if type(value) is not list or len(value) != len(pairs):
                raise wanted(f"{name(form)} of {len(pairs)} elements", value)
            return form(*read(value))

        return read_it, lambda value, _=None: write(check(value))

    # Objects

    def _mapping(self, form: Any) -> _Pair:
        kind = _MAPPINGS[get_origin(form) or form]
        arguments = get_args(form) or (Any, Any)
        key_form, value_form = (arguments[0], int) if kind is Counter else arguments
        read_key, write_key = self._key(key_form)
        read, write = self.pair(value_form)
        each_read, each_write = _values(read), _values(write)
        plain = read_key is _PLAIN[str]
        make: Hook = partial(defaultdict, value_form if callable(value_form) else None) if kind is defaultdict else kind
        check = _exact(kind)

        def read_it(value: Any, _: Any = None) -> Any:
            if type(value) is not dict:
                raise wanted(name(form), value)
            items = each_read(value)
            if not plain:
                keys = _keys(read_key, value)
                _hashable(keys)
                items = dict(zip(keys, items.values(), strict=True))
                if len(items) != len(value):
                    raise MisfitError(f"expected {name(form)}, and two keys are equal")
            return items if kind is dict else make(items)

        def write_it(value: Any, _: Any = None) -> Any:
            items = each_write(check(value))
            if plain and {*map(type, value)} <= {str}:
                return items
            return dict(zip(_keys(write_key, value), items.values(), strict=True))

        return read_it, write_it

    def _key(self, form: Any) -> _Pair:
        """How the keys of a mapping are read and written: JSON has only texts as keys."""
        form = bare(form)
        if form is str or (form in _LEAVES and _LEAVES[form][0] is _json_value):
            return _LEAVES[str]
        if form in (int, float, bool):
            return _number_key(form)
        if _is_choice(form) and not _is_flags(form):
            return _table(form, lambda item: item if type(item) is str else json.dumps(item))
        if form in _TEXTS:
            return _LEAVES[form]
        raise StructureHandlerNotFoundError(f"Unsupported type of keys: {form!r}. JSON has only texts as keys.", type_=form)

    def _typed_dict(self, form: Any) -> _Pair:
        origin = get_origin(form) or form
        variables = _variables(form)
        hints = typing_extensions.get_type_hints(origin, include_extras=True)
        pairs = {field: self.pair(_put(bare(hint), variables)) for field, hint in hints.items()}
        required = frozenset(origin.__required_keys__)

        def convert(which: int, value: Any) -> Any:
            if type(value) is not dict:
                raise wanted(name(form), value)
            _only(pairs.keys(), required, value)
            made = {}
            for field, item in value.items():
                try:
                    made[field] = pairs[field][which](item)
                except Exception as error:  # noqa: BLE001
                    raise at(f".{field}", error)  # noqa: B904
            return made

        return lambda value, _=None: convert(0, value), lambda value, _=None: convert(1, value)

    def _class(self, form: Any) -> _Pair:
        kind = get_origin(form) or form
        fields = self._fields(form)
        if self._explain:
            read, inner = _explained_reader(kind, fields), _explained_writer(fields)
        else:
            hooks: dict[str, Any] = {
                field.name: attrs.evolve(field.override, struct_hook=field.read, unstruct_hook=field.write, rename=field.override.rename)
                for field in fields
            }
            read = make_dict_structure_fn(form, self._cattrs, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=False, **hooks)
            inner = make_dict_unstructure_fn(form, self._cattrs, **hooks)
        self._inner[form] = inner

        def write(value: Any, _: Any = None) -> Any:
            if type(value) is not kind:
                raise wanted(kind.__name__, value)
            return inner(value)

        return read, write

    def _fields(self, form: Any) -> list[_Field]:
        kind, variables = get_origin(form) or form, _variables(form)
        found: list[tuple[str, str, Any, bool, bool]] = []
        if attrs.has(kind):
            attrs.resolve_types(kind)
            for field in attrs.fields(kind):
                declared = Any if field.type is None else field.type
                found.append((field.name, field.alias or field.name, declared, field.default is attrs.NOTHING, field.init))
        else:
            hints = get_type_hints(kind, include_extras=True)
            for item in dataclasses.fields(kind):
                required = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
                found.append((item.name, item.name, hints[item.name], required, item.init))
        made = []
        for field_name, alias, declared, required, init in found:
            given = next((note for note in getattr(declared, "__metadata__", ()) if isinstance(note, _Override)), override())
            if given.omit or (given.omit is None and not init):
                continue
            read, write = self.pair(_put(bare(declared), variables))
            read, write = given.struct_hook or read, given.unstruct_hook or write
            made.append(_Field(field_name, alias, declared, required, read, write, given))
        return made

    # Unions

    def _union(self, form: Any) -> _Pair:
        parts = list(dict.fromkeys(members(form)))
        others = [part for part in parts if part is not NoneType and part is not None]
        if len(others) == 1:
            read, write = self.pair(others[0])
            return (
                lambda value, _=None: None if value is None else read(value),
                lambda value, _=None: None if value is None else write(value),
            )
        union = _Union(form)
        classes = [part for part in others if _is_class(part)]
        if len(classes) > 1:
            self._classes(union, classes)
        for part in others:
            if part not in classes or len(classes) == 1:
                union.add(part, self.pair(part))
        if len(others) < len(parts):
            union.add(NoneType, _LEAVES[NoneType])
        return union.pair()

    def _classes(self, union: _Union, classes: list[Any]) -> None:
        """Several classes: a tag tells attrs classes apart. Of dataclasses, cattrs finds fields that differ."""
        pairs = {part: self.pair(part) for part in classes}
        if not all(attrs.has(get_origin(part) or part) for part in classes):
            find = create_default_dis_func(self._cattrs, *classes)
            union.reads[dict] = lambda value, _=None: pairs[find(value)][0](value)
            union.writes.update({get_origin(part) or part: pairs[part][1] for part in classes})
            return
        tagged = {part.__name__: part for part in classes}
        if len(tagged) < len(classes):
            raise ValueError(f"two classes of {union.form} have the same name, which is their tag in a message: rename one")
        for part in classes:
            if any(field.key == TAG for field in self._fields(part)):
                raise ValueError(f"a field of {part} has the name {TAG}, which is the key of the tag in a union: rename it")
        reads = {tag: pairs[part][0] for tag, part in tagged.items()}
        text = f"{TAG} is none of {', '.join(tagged)}"

        def read(value: Any, _: Any = None) -> Any:
            tag = value.get(TAG)
            hook = reads.get(tag) if type(tag) is str else None
            if hook is None:
                raise MisfitError(text)
            del value[TAG]  # no other code has the parsed value
            try:
                return hook(value)
            finally:
                value[TAG] = tag  # after an error the whole value is converted again, for the place of the error

        union.what = text
        union.reads[dict] = read
        for tag, part in tagged.items():
            union.writes[get_origin(part) or part] = self._tagging(part, tag)

    def _tagging(self, part: Any, tag: str) -> Hook:
        inner = self._inner.get(part) or self.pair(part)[1]  # a class that contains this union has no writer yet

        def write(value: Any, _: Any = None) -> Any:
            made = inner(value)
            made[TAG] = tag
            return made

        return write

    def _choice(self, form: Any) -> _Pair:
        return _flags(form) if _is_flags(form) else _table(form, lambda item: item)


def _is_bare_tuple(form: Any) -> bool:
    return get_origin(form) is tuple and not get_args(form) and repr(form) == "typing.Tuple"


def _known(origin: Any, kinds: dict[Any, type]) -> bool:
    try:
        return origin in kinds
    except TypeError:  # it is not hashable
        return False


@final
class _Union:
    """The members of a union, by the type that `json` parses and by the class that a program writes."""

    def __init__(self, form: Any) -> None:
        self.form = form
        self.what = ""
        self.reads: dict[type, Hook] = {}
        self.writes: dict[type, Hook] = {}
        self._members: list[Any] = []
        self._choices: list[Any] = []

    def add(self, part: Any, pair: _Pair) -> None:
        if _is_choice(part) and not _is_flags(part):
            self._choices.append(part)
            return
        self._members.append(part)
        kind = _kind(part)
        if kind is float:
            return  # it takes an integer, too, if no other member does
        self._read(kind, pair[0])
        self.writes[_class_of(part)] = pair[1]

    def _read(self, kind: type, hook: Hook) -> None:
        if kind in self.reads:
            raise ValueError(f"two members of {self.form} look alike in JSON: use attrs classes, which a union tells apart by their names")
        self.reads[kind] = hook

    def pair(self) -> _Pair:
        self._add_choices()
        if float in self._members:
            for kind in (float, int):
                self.reads.setdefault(kind, _read_float)
                self.writes.setdefault(kind, _write_float)
        reads, writes = self.reads, self.writes
        what = name(self.form)
        classes = listed([kind.__name__ for kind in writes])
        text = self.what

        def read(value: Any, _: Any = None) -> Any:
            hook = reads.get(type(value))
            if hook is None:
                raise MisfitError(text) if text and len(reads) - (NoneType in reads) == 1 else wanted(what, value)
            return hook(value)

        def write(value: Any, _: Any = None) -> Any:
            hook = writes.get(type(value))
            if hook is None:
                raise MisfitError(f"{shown(value)} is none of {classes}")
            return hook(value)

        return read, write

    def _add_choices(self) -> None:
        entries = [(item, entry) for choice in self._choices for item, entry in _entries(choice)]
        entries = [(item, entry) for item, entry in entries if isinstance(item, Enum) or type(item) not in self._members]
        table: dict[tuple[type, Any], Any] = {}
        for item, entry in entries:
            if table.setdefault((type(entry), entry), item) is not item and not _same(table[type(entry), entry], item):
                raise ValueError(f"two members of {self.form} look alike in JSON: {item!r} is one")
        if entries:
            read, write = _lookups(name(self.form), entries)
            for kind in dict.fromkeys(type(entry) for _, entry in entries):
                self._read(kind, read)
            self.writes.update({type(item): write for item, _ in entries})


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _kind(part: Any) -> type:
    """The type of `json` that a member of a union has in a content."""
    origin = get_origin(part) or part
    if part in _PLAIN or part is float:
        return float if part is float else next(kind for kind in _PLAIN if kind is part)
    if part in _TEXTS:
        return str
    if _is_flags(part):
        return int
    if _known(origin, _SEQUENCES) or _is_named_tuple(part):
        return list
    if _known(origin, _MAPPINGS) or _is_class(part) or typing_extensions.is_typeddict(part):
        return dict
    raise StructureHandlerNotFoundError(f"Unsupported member of a union: {part!r}.", type_=part)


def _class_of(part: Any) -> type:
    """The class of the values of a member of a union."""
    if part is Path:
        return type(Path())
    origin = get_origin(part) or part
    if typing_extensions.is_typeddict(part):
        return dict
    return _SEQUENCES.get(origin) or _MAPPINGS.get(origin) or origin


# Elements. A list of texts, of integers or of booleans is checked as a whole, without a call for each element.


def _each(hook: Hook) -> Hook:
    kinds = _BULK.get(hook)

    def convert(items: Any) -> Any:
        made = list[Any]()
        add = made.append
        try:
            for item in items:
                add(hook(item))
        except Exception as error:  # noqa: BLE001
            raise at(index(len(made)), error)  # noqa: B904
        return made

    def check(items: Any) -> Any:
        if kinds and not {*map(type, items)} <= kinds:
            if hook is _json_value:
                return convert(items)
            found = [*map(type, items)]
            number = min(found.index(kind) for kind in {*found} - kinds)
            raise at(index(number), wanted(_named(*kinds), items[number]))
        return items

    return check if kinds else convert


def _values(hook: Hook) -> Hook:
    kinds = _BULK.get(hook)

    def convert(items: Any) -> Any:
        text, made = None, {}
        try:
            for text, item in items.items():
                made[text] = hook(item)
        except Exception as error:  # noqa: BLE001
            raise at(key(text), error)  # noqa: B904
        return made

    def check(items: Any) -> Any:
        return items if kinds and {*map(type, items.values())} <= kinds else convert(items)

    return check if kinds else convert


def _keys(hook: Hook, keys: Iterable[Any]) -> list[Any]:
    made = list[Any]()
    text = None
    try:
        for text in keys:
            made.append(hook(text))
    except Exception as error:  # noqa: BLE001
        raise at(key(text), error)  # noqa: B904
    return made


def _fixed(hooks: list[Hook]) -> Callable[[Any], list[Any]]:
    def convert(items: Any) -> list[Any]:
        made = list[Any]()
        try:
            for hook, item in zip(hooks, items, strict=True):
                made.append(hook(item))
        except Exception as error:  # noqa: BLE001
            raise at(index(len(made)), error)  # noqa: B904
        return made

    return convert


def _hashable(items: list[Any]) -> None:
    """Refuse many keys with equal hashes: a set or a dict of them takes the square of their number. Python's integers allow it."""
    if len(items) > _CROWD and len({*map(hash, items)}) < len(items) // _CROWD:
        raise MisfitError(f"{len(items)} keys or elements have hardly any different hashes")


def _number_key(form: Any) -> _Pair:
    """Keys that are numbers: exactly the texts that `json` writes, so that two texts are never the same key."""
    make: Hook = {"true": True, "false": False}.__getitem__ if form is bool else form
    text_of: Hook = {True: "true", False: "false"}.__getitem__ if form is bool else form.__repr__
    write_number = _write_float if form is float else _PLAIN[form]
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


# Enums and literals


def _is_choice(form: Any) -> bool:
    return get_origin(form) is Literal or _is_enum(form)


def _is_flags(form: Any) -> bool:
    return isinstance(form, type) and issubclass(form, Flag)


def _entries(form: Any) -> list[tuple[Any, Any]]:
    """The members of an enum or the values of a literal, each with its value in JSON."""
    items = list(form) if _is_enum(form) else list(get_args(form))
    entries = [(item, item._value_ if isinstance(item, Enum) else item) for item in items]
    for item, entry in entries:
        if type(entry) not in {str, int, bool, float, NoneType} or (type(entry) is float and not isfinite(entry)):
            raise StructureHandlerNotFoundError(f"Unsupported value of {name(form)}: {item!r}. JSON has no type for it.", type_=form)
    return entries


def _table(form: Any, look: Hook) -> _Pair:
    return _lookups(name(form), [(item, look(entry)) for item, entry in _entries(form)])


def _lookups(what: str, entries: list[tuple[Any, Any]]) -> _Pair:
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


def _flags(form: Any) -> _Pair:
    def read(value: Any, _: Any = None) -> Any:
        made = form(_PLAIN[int](value))
        if made._value_ != value:
            raise wanted(name(form), value)
        return made

    def write(value: Any, _: Any = None) -> Any:
        if type(value) is not form:
            raise wanted(name(form), value)
        return value._value_

    return read, write


# Classes, after an error


def _only(known: Iterable[str], required: Iterable[str], value: dict[Any, Any]) -> None:
    extra = [item for item in value if item not in known]
    if extra:
        raise MisfitError(f"extra fields found ({listed([shown(item) for item in extra[:9]])})")
    for field in required:
        if field not in value:
            missing = MisfitError("required field missing")
            missing.steps.append(f".{field}")
            raise missing


def _explained_reader(kind: Any, fields: list[_Field]) -> Hook:
    known = {field.key for field in fields}
    required = [field.key for field in fields if field.required]

    def read(value: Any, _: Any = None) -> Any:
        if type(value) is not dict:
            raise wanted(kind.__name__, value)
        _only(known, required, value)
        made = {}
        for field in fields:
            if field.key in value:
                try:
                    made[field.alias] = field.read(value[field.key])
                except Exception as error:  # noqa: BLE001
                    raise at(f".{field.key}", error)  # noqa: B904
        return kind(**made)

    return read


def _explained_writer(fields: list[_Field]) -> Hook:
    def write(value: Any, _: Any = None) -> Any:
        made = {}
        for field in fields:
            try:
                made[field.key] = field.write(getattr(value, field.name))
            except Exception as error:  # noqa: BLE001
                raise at(f".{field.key}", error)  # noqa: B904
        return made

    return write
