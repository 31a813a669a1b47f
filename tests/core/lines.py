"""Counts the lines that an action runs, so that a test can say that its cost does not grow."""

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def lines(action: Callable[[], object]) -> int:
    """The number of lines of Python that the action runs; compiled code has none."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:  # Any: as typeshed has the argument of trace functions
        nonlocal count
        count += event == "line"
        return trace

    before, collecting = sys.gettrace(), gc.isenabled()
    gc.disable()  # what runs at a collection is not of the action
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
        if collecting:
            gc.enable()
    return count
