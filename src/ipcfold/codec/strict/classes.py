"""Hooks of classes that name the field of an error. cattrs generates the hooks that do not."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import signature
from typing import Any, Final

import attrs
from cattrs import StructureHandlerNotFoundError
from cattrs.gen import override

from ipcfold.codec.misfit import Hook, MisfitError, at, listed, shown, wanted

# Any in this file: no single type describes all types, all values of JSON, or all values of a program.

Override: Final = type(override())


@attrs.frozen
class Field:
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


def check_constructor(kind: Any, fields: list[str]) -> None:
    """Raise if the constructor does not take the fields alone, for example because it also takes an `InitVar`: nothing would decode."""
    try:
        signature(kind).bind(**dict.fromkeys(fields))
    except (TypeError, ValueError) as error:  # a `ValueError` where it has no signature, as `dict` has none
        text = f"Unsupported type: {kind!r}. Its constructor does not take its fields alone ({error})."
        raise StructureHandlerNotFoundError(text, type_=kind) from None


# Classes, after an error


def only(known: Iterable[str], required: Iterable[str], value: dict[Any, Any]) -> None:
    extra = [item for item in value if item not in known]
    if extra:
        raise MisfitError(f"extra fields found ({listed([shown(item) for item in extra[:9]])})")
    for field in required:
        if field not in value:
            missing = MisfitError("required field missing")
            missing.steps.append(f".{field}")
            raise missing


def explained_reader(kind: Any, fields: list[Field]) -> Hook:
    known = {field.key for field in fields}
    required = [field.key for field in fields if field.required]

    def read(value: Any, _: Any = None) -> Any:
        if type(value) is not dict:
            raise wanted(kind.__name__, value)
        only(known, required, value)
        made = {}
        for field in fields:
            if field.key in value:
                try:
                    made[field.alias] = field.read(value[field.key])
                except Exception as error:  # noqa: BLE001
                    raise at(f".{field.key}", error)  # noqa: B904
        return kind(**made)

    return read


def explained_writer(fields: list[Field]) -> Hook:
    def write(value: Any, _: Any = None) -> Any:
        made = {}
        for field in fields:
            try:
                made[field.key] = field.write(getattr(value, field.name))
            except Exception as error:  # noqa: BLE001
                raise at(f".{field.key}", error)  # noqa: B904
        return made

    return write
