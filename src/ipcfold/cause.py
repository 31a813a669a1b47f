"""The base class of all errors."""

from __future__ import annotations

import attrs


def shown(value: object) -> str:
    """The `repr` of a value of the program, which may raise anything."""
    try:
        return repr(value)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - see above
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"


@attrs.frozen(repr=False, eq=False)
class Cause:
    """The base class of the errors, which are frozen values.

    Its `repr`, equality and hash are those that attrs would generate. They are written once, because generating them for
    each class would take half of the import time of the errors.
    """

    def __repr__(self) -> str:
        facts = ", ".join(f"{field.name}={shown(getattr(self, field.name))}" for field in attrs.fields(type(self)))
        return f"{type(self).__name__}({facts})"

    def __eq__(self, other: object) -> bool:
        return self._facts == other._facts if isinstance(other, Cause) and type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), self._facts))

    @property
    def _facts(self) -> tuple[object, ...]:
        return tuple(getattr(self, field.name) for field in attrs.fields(type(self)))
