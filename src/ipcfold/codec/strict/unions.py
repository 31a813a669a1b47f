"""Hooks of unions, which find the member by the type that `json` parses and by the class that a program writes."""

from __future__ import annotations

from enum import Enum
from types import NoneType
from typing import Any, final

from ipcfold.codec.misfit import Hook, MisfitError, listed, name, shown, wanted
from ipcfold.codec.strict.choices import entries_of, lookups
from ipcfold.codec.strict.forms import class_of, is_choice, is_flags, kind_in_json
from ipcfold.codec.strict.leaves import Pair, read_float, write_float

# Any in this file: no single type describes all types, all values of JSON, or all values of a program.


@final
class UnionHooks:
    """The members of a union, by the type that `json` parses and by the class that a program writes."""

    def __init__(self, form: Any) -> None:
        self.form = form
        self.what = ""
        self.reads: dict[type, Hook] = {}
        self.writes: dict[type, Hook] = {}
        self._members: list[Any] = []
        self._choices: list[Any] = []

    def add(self, part: Any, pair: Pair) -> None:
        if is_choice(part) and not is_flags(part):
            self._choices.append(part)
            return
        self._members.append(part)
        kind = kind_in_json(part)
        if kind is float:
            return  # it takes an integer, too, if no other member does
        self._read(kind, pair[0])
        self.writes[class_of(part)] = pair[1]

    def _read(self, kind: type, hook: Hook) -> None:
        if kind in self.reads:
            raise ValueError(f"two members of {self.form} look alike in JSON: use attrs classes, which a union tells apart by their names")
        self.reads[kind] = hook

    def pair(self) -> Pair:
        self._add_choices()
        if float in self._members:
            for kind in (float, int):
                self.reads.setdefault(kind, read_float)
                self.writes.setdefault(kind, write_float)
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
        entries = [(item, entry) for choice in self._choices for item, entry in entries_of(choice)]
        entries = [(item, entry) for item, entry in entries if isinstance(item, Enum) or type(item) not in self._members]
        table: dict[tuple[type, Any], Any] = {}
        for item, entry in entries:
            if type(table.setdefault((type(entry), entry), item)) is not type(item):
                raise ValueError(f"two members of {self.form} look alike in JSON: {item!r} is one")
        if entries:
            read, write = lookups(name(self.form), entries)
            for kind in dict.fromkeys(type(entry) for _, entry in entries):
                self._read(kind, read)
            self.writes.update({type(item): write for item, _ in entries})
