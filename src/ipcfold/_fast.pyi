from collections.abc import Callable
from typing import Any, TypeVar, final

_F = TypeVar("_F", bound=Callable[..., Any])  # Any: a function of any signature, which stays

@final
class Burst:
    admitted: int
    folded: int
    parted: int
    ready: int
    def flush(self) -> None: ...
    def wait(self, loop: object, poller: int, things: dict[int, object], seconds: float, /) -> list[tuple[Any, int]]: ...
    # Any: the values of `things`, as they are; the loop is a `local.calling.Calling`

def pair(name: str, function: _F, /) -> _F: ...
def enable(wanted: bool, /) -> bool: ...
def is_enabled() -> bool: ...
