"""The accelerator: the common path of both ends in C, where it was built.

Each function in C stands before one in Python, and leaves to it whatever is not common. So the Python code is complete
without the accelerator, and it is the specification. With `IPCFOLD_PURE=1` in the environment the accelerator is neither
built nor used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from ipcfold import _fast as fast
else:
    fast = None
    if os.environ.get("IPCFOLD_PURE") != "1":
        with suppress(ImportError):
            from ipcfold import _fast as fast

__all__ = ["accelerate", "accelerated", "fast"]

F = TypeVar("F", bound=Callable[..., Any])  # Any: a function of any signature, which stays

accelerated: Final[bool] = fast is not None
"""Whether the common path runs in C."""


def accelerate(name: str) -> Callable[[F], F]:
    """Put the function in C of that name before the decorated one."""
    return lambda function: fast.pair(name, function) if accelerated else function
