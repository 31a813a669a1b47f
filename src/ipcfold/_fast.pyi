from collections.abc import Callable
from typing import Any, TypeVar, final

F = TypeVar("F", bound=Callable[..., Any])  # Any: a function of any signature, which stays

@final
class Burst:
    folded: int
    ready: int
    def flush(self) -> None: ...
    def wait(self, loop: object, poller: int, things: dict[int, object], seconds: float, /) -> list[tuple[Any, int]]: ...
    # Any: the values of `things`, as they are; the loop is a `blocking.loop.Loop`

def pair(name: str, function: F, /) -> F: ...
def enable(wanted: bool, /) -> bool: ...  # noqa: FBT001 - its only argument
