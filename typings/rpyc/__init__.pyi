# What the benchmarks use of it. The results of remote calls are whatever the service says; the benchmarks' one takes and gives bytes.
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

_T = TypeVar("_T")

class Service: ...

class _Root(Protocol):
    @property
    def echo(self) -> Callable[[bytes], bytes]: ...
    @property
    def keep(self) -> Callable[[Callable[[bytes], object]], None]: ...

class Connection:
    @property
    def root(self) -> _Root: ...
    def close(self) -> None: ...

class AsyncResult(Generic[_T]):
    @property
    def value(self) -> _T: ...

def async_(proxy: Callable[[bytes], _T]) -> Callable[[bytes], AsyncResult[_T]]: ...

class BgServingThread:
    def __init__(self, conn: Connection) -> None: ...
