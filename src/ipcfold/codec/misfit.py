"""The error of a value that is not of the type, with its place in the value. Its texts are short, however large the value is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, final

_SHOWN: Final = 40  # characters of a text or a key in an error
_STEPS: Final = 6  # steps at each end of a longer path
_LARGE: Final = 10**20  # the texts of larger integers are no longer short

Hook: TypeAlias = Callable[..., Any]  # Any: a hook takes and returns values of any type. A second argument is for cattrs alone


@final
class MisfitError(ValueError):
    """A value is not of the type. The hooks of its containers add the steps to it, the innermost step first."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.steps: list[str] = []

    def __str__(self) -> str:
        steps = self.steps[::-1]
        if len(steps) > 2 * _STEPS:
            steps = [*steps[:_STEPS], "...", *steps[-_STEPS:]]
        return f"{self.text} @ ${''.join(steps)}"


def at(step: str, error: Exception) -> Exception:
    """The error, which occurred in this step of the value."""
    if isinstance(error, RecursionError):
        return error  # the value is nested too deeply, and the path does not help to find it
    told = error if isinstance(error, MisfitError) else MisfitError(text_of(error))
    told.steps.append(step)
    return told


def text_of(error: Exception) -> str:
    """What the exception of a validator, a converter or a format says."""
    if isinstance(error, RecursionError):
        return f"the value is nested too deeply ({error})"
    try:
        told = str(error.args[0] if type(error) is ValueError and error.args else error)
    except Exception:  # noqa: BLE001 - the `str` of an exception may raise, too
        told = ""
    return told or type(error).__name__


def index(number: int) -> str:
    """The step to an element."""
    return f"[{number}]"


def key(text: object) -> str:
    """The step to the value of a key."""
    return f"[{shown(text)}]"


def wanted(what: str, found: object) -> MisfitError:
    """The error of a value that is not what the type says."""
    return MisfitError(f"expected {what}, not {shown(found)}")


def shown(value: object) -> str:
    """A short text of the value, which reads nothing of a value of an unknown class."""
    if type(value) is str:
        return repr(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}...")
    if value is None or type(value) in {bool, float} or (type(value) is int and -_LARGE < value < _LARGE):
        return repr(value)
    return f"{'a large' if type(value) is int else 'a'} {type(value).__name__}"


def name(form: Any) -> str:  # Any: a type of any kind
    """The name of a type in an error."""
    return str(form.__name__ if isinstance(form, type) and not hasattr(form, "__args__") else form).removeprefix("typing.")[:80]


def listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"
