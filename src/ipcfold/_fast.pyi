from collections.abc import Callable
from typing import Any, TypeVar, final

from ipcfold.blocking.loop import Loop

F = TypeVar("F", bound=Callable[..., Any])  # Any: a function of any signature, which stays

@final
class Burst:
    folded: int
    ready: int
    def flush(self) -> None: ...
    def wait(self, loop: Loop[Any], poller: int, things: dict[int, object], seconds: float, /) -> list[tuple[Any, int]]: ...
    # Any: of whatever carry; the values of `things`

def pair(name: str, function: F, /) -> F: ...
def enable(wanted: bool, /) -> bool: ...  # noqa: FBT001 - its only argument
