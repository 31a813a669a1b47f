"""The asyncio shell: the same verbs and the same servers, for the tasks of an event loop."""

from typing import TYPE_CHECKING

from ipcfold.aio.chain import Pipeline, pipeline
from ipcfold.aio.client import Process
from ipcfold.aio.functions import Handler, Leaving, Waking
from ipcfold.aio.ipc import IPC
from ipcfold.aio.pointfree import ask, close, send, wait
from ipcfold.aio.server import Server

if TYPE_CHECKING:
    from ipcfold.aio.steady import Steady
else:  # a checker would take a `__getattr__` for a sign that every name exists

    def __getattr__(name: str) -> object:
        """Import the steady client when the program first uses it: few clients are."""
        if name != "Steady":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ipcfold.aio import steady  # noqa: PLC0415 - see above

        globals().update(Steady=steady.Steady)
        return steady.Steady


__all__ = ["IPC", "Handler", "Leaving", "Pipeline", "Process", "Server", "Steady", "Waking", "ask", "close", "pipeline", "send", "wait"]
