"""The asyncio shell: the same verbs and the same servers, for the tasks of an event loop."""

from ipcfold.aio.chain import Pipeline, pipeline
from ipcfold.aio.client import Process
from ipcfold.aio.functions import Handler, Leaving, Waking
from ipcfold.aio.ipc import IPC
from ipcfold.aio.pointfree import ask, close, send, wait
from ipcfold.aio.server import Server

__all__ = ["IPC", "Handler", "Leaving", "Pipeline", "Process", "Server", "Waking", "ask", "close", "pipeline", "send", "wait"]
