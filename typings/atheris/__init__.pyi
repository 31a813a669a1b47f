from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

def instrument_imports(include: Sequence[str] | None = None) -> AbstractContextManager[object]: ...
def Setup(args: Sequence[str], target: Callable[[bytes], None]) -> list[str]: ...  # noqa: N802 - its name there
def Fuzz() -> None: ...  # noqa: N802 - its name there
