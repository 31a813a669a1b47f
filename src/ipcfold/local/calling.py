"""What the accelerator knows of the loop of a server, whichever shell it is of: how to call the handler."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from ipcfold.local.engine import Engine
from ipcfold.local.flusher import Flusher

C = TypeVar("C")


class Calling(Generic[C]):
    """The base class of the loops. The accelerator calls `_handler`, and gives what that raises to a method `_failed` of the loop."""

    __slots__ = ("_engine", "_flusher", "_handler", "_interruptible")

    def __init__(self, engine: Engine[C], handler: Any, flusher: Flusher) -> None:  # Any: what a handler returns depends on the shell
        self._engine = engine
        self._handler = handler
        self._flusher = flusher
        self._interruptible = False  # whether the handler runs: nothing else can be interrupted without harm
