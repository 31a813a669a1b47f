"""JSON that takes no value for one of another type, in both directions.

A form is a type as a program writes it. `Strict` makes two hooks of a form: one reads what `json` parsed, one writes what
`json` prints. cattrs generates the functions for classes. It keeps these rules:

- A hook takes a value of exactly its type. It raises at the first wrong value, so an error costs no more than the value.
- What a hook writes, the hook of the same form reads as an equal value.
- Two members of a union never look alike in JSON. A form that breaks this rule raises where it is named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from types import NoneType
from typing import Any, Literal, final, get_args, get_origin, get_type_hints, is_typeddict

import attrs
import typing_extensions
from cattrs import Converter, StructureHandlerNotFoundError
from cattrs.disambiguators import create_default_dis_func
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from ipcfold.codec.misfit import Hook, MisfitError, wanted
from ipcfold.codec.strict.choices import flags, table
from ipcfold.codec.strict.classes import Field, Override, check_constructor, explained_reader, explained_writer
from ipcfold.codec.strict.containers import fixed_tuple, mapping, named_tuple, sequence, typed_dict
from ipcfold.codec.strict.forms import (
    MAPPINGS,
    SEQUENCES,
    TAG,
    bare,
    is_class,
    is_enum,
    is_flags,
    is_named_tuple,
    members,
    put,
    variables_of,
)
from ipcfold.codec.strict.leaves import LEAVES, Pair
from ipcfold.codec.strict.unions import UnionHooks

# Any in this file: no single type describes all types, all values of JSON, or all values of a program.


@final
class Strict:
    """Makes the hooks of forms, each once, so that a class may contain itself.

    `explain` makes hooks that also add the fields of classes to the path of an error. They are slower, and used after an error.
    """

    def __init__(self, *, explain: bool = False) -> None:
        self._explain = explain
        self._made: dict[Any, Pair | None] = {}
        self._inner: dict[Any, Hook] = {}  # the writers of classes that do not look at the class
        self._cattrs = Converter(detailed_validation=False, forbid_extra_keys=True)

    def pair(self, form: Any) -> Pair:
        """How to read and how to write this form."""
        form = bare(form)
        if form in LEAVES:
            return LEAVES[form]
        if form not in self._made:
            self._made[form] = None  # a class that contains itself finds this, and looks up its hook when it needs it
            try:
                self._made[form] = self._make(form)
            except BaseException:
                del self._made[form]
                raise
        made = self._made[form]
        return made or (lambda value, _=None: self._late(form)[0](value), lambda value, _=None: self._late(form)[1](value))

    def _late(self, form: Any) -> Pair:
        made = self._made[form]
        assert made is not None  # noqa: S101 - the codec is complete before it gets a value
        return made

    def _make(self, form: Any) -> Pair:
        origin = get_origin(form) or form
        makers: list[tuple[bool, Callable[[Any], Pair]]] = [
            (len(members(form)) > 1, self._union),
            (origin is Literal or is_enum(form), self._choice),
            (is_named_tuple(form), partial(named_tuple, pair=self.pair)),
            (is_typeddict(form) or typing_extensions.is_typeddict(form), partial(typed_dict, pair=self.pair)),
            (is_class(form), self._class),
            (origin is tuple and get_args(form)[-1:] != (...,) and hasattr(form, "__args__"), partial(fixed_tuple, pair=self.pair)),
            (origin in SEQUENCES, partial(sequence, pair=self.pair)),
            (origin in MAPPINGS, partial(mapping, pair=self.pair)),
        ]
        for fits, make in makers:
            if fits:
                return make(form)
        raise StructureHandlerNotFoundError(f"Unsupported type: {form!r}. No codec of JSON converts it.", type_=form)

    # Classes

    def _class(self, form: Any) -> Pair:
        kind = get_origin(form) or form
        fields = self._fields(form)
        if self._explain:
            read, inner = explained_reader(kind, fields), explained_writer(fields)
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

    def _fields(self, form: Any) -> list[Field]:
        kind, variables = get_origin(form) or form, variables_of(form)
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
        check_constructor(kind, [alias for _, alias, _, _, init in found if init])
        made = []
        for field_name, alias, declared, required, init in found:
            given = next((note for note in getattr(declared, "__metadata__", ()) if isinstance(note, Override)), override())
            if given.omit or (given.omit is None and not init):
                continue
            read, write = self.pair(put(bare(declared), variables))
            if given.struct_hook is not None:
                read = partial(_with_form, given.struct_hook, declared)
            if given.unstruct_hook is not None:
                write = given.unstruct_hook
            made.append(Field(field_name, alias, declared, required, read, write, given))
        return made

    # Unions

    def _union(self, form: Any) -> Pair:
        parts = list(dict.fromkeys(members(form)))
        others = [part for part in parts if part is not NoneType and part is not None]
        if len(others) == 1:
            read, write = self.pair(others[0])
            return (
                lambda value, _=None: None if value is None else read(value),
                lambda value, _=None: None if value is None else write(value),
            )
        union = UnionHooks(form)
        classes = [part for part in others if is_class(part)]
        if len(classes) > 1:
            self._classes(union, classes)
        for part in others:
            if part not in classes or len(classes) == 1:
                union.add(part, self.pair(part))
        if len(others) < len(parts):
            union.add(NoneType, LEAVES[NoneType])
        return union.pair()

    def _classes(self, union: UnionHooks, classes: list[Any]) -> None:
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

    def _choice(self, form: Any) -> Pair:
        return flags(form) if is_flags(form) else table(form, lambda item: item)


def _with_form(hook: Hook, form: Any, value: Any, _: Any = None) -> Any:
    """Call a hook that a class gives for its field, in the way of cattrs."""
    return hook(value, form)
