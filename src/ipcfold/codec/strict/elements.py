"""Hooks of elements, for the hooks of lists, sets, tuples and dicts.

Plain values in a list are checked as a whole, without a call for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from ipcfold.codec.misfit import Hook, MisfitError, at, index, key, wanted
from ipcfold.codec.strict.leaves import BULK, json_value, named

# Any in this file: no single type describes all types, all values of JSON, or all values of a program.

_CROWD: Final = 64  # so many keys may have equal hashes, before a set or dict of them would take too long


def each(hook: Hook) -> Hook:
    kinds = BULK.get(hook)

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
            if hook is json_value:
                return convert(items)
            found = [*map(type, items)]
            number = min(found.index(kind) for kind in {*found} - kinds)
            raise at(index(number), wanted(named(*kinds), items[number]))
        return items

    return check if kinds else convert


def values_of(hook: Hook) -> Hook:
    kinds = BULK.get(hook)

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


def keys_of(hook: Hook, keys: Iterable[Any]) -> list[Any]:
    made = list[Any]()
    text = None
    try:
        for text in keys:
            made.append(hook(text))
    except Exception as error:  # noqa: BLE001
        raise at(key(text), error)  # noqa: B904
    return made


def fixed(hooks: list[Hook]) -> Callable[[Any], list[Any]]:
    def convert(items: Any) -> list[Any]:
        made = list[Any]()
        try:
            for hook, item in zip(hooks, items, strict=True):
                made.append(hook(item))
        except Exception as error:  # noqa: BLE001
            raise at(index(len(made)), error)  # noqa: B904
        return made

    return convert


def check_hashes(items: list[Any]) -> None:
    """Refuse many keys with equal hashes: a set or a dict of them takes the square of their number. Python's integers allow it."""
    if len(items) > _CROWD and len({*map(hash, items)}) < len(items) // _CROWD:
        raise MisfitError(f"{len(items)} keys or elements have hardly any different hashes")
