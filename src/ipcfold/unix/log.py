"""The log of servers, under `ipcfold`: who wants to read it says where, by the standard library's `logging`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger


@cache
def logger() -> Logger:
    """Where servers say what happens to their clients. A server asks for it as it starts: later there may be no descriptor left."""
    from logging import NullHandler, getLogger  # noqa: PLC0415 - a tenth of the time to import this library, and clients never need it

    logger = getLogger("ipcfold")
    logger.addHandler(NullHandler())
    return logger
