"""What all errors have in common."""

from __future__ import annotations

import attrs


@attrs.frozen(repr=False, eq=False)
class Cause:
    """An error: a frozen value.

    It compares and looks as attrs would make it. Here that is written once, because attrs would spend half of the time of
    importing the errors on making it for each class.
    """

    def __repr__(self) -> str:
        facts = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in attrs.fields(type(self)))
        return f"{type(self).__name__}({facts})"

    def __eq__(self, other: object) -> bool:
        return self._facts == other._facts if isinstance(other, Cause) and type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), self._facts))

    @property
    def _facts(self) -> tuple[object, ...]:
        return tuple(getattr(self, field.name) for field in attrs.fields(type(self)))
