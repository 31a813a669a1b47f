"""Typed, functional inter-process communication: a server is a fold over messages, a client a pipeline of results."""

import sys
from typing import TYPE_CHECKING

if sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)] in {"ipcfold", "-mipcfold"}:
    # `python -m ipcfold` imports this module first. From here on, Ctrl-C ends it without a traceback.
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

from ipcfold.accelerator import accelerated as accelerated
from ipcfold.chain import Pipeline, pipeline
from ipcfold.continuation import Continuation, Handler, Outcome
from ipcfold.core.offline import fold
from ipcfold.errors import (
    AskError,
    CloseError,
    ConnectError,
    ConnectionClosed,
    ConnectionDropped,
    ConnectionLost,
    ConnectionRefused,
    DirectoryUnusable,
    Ended,
    HandlerFailed,
    Interrupted,
    InUse,
    ListenError,
    LogCorrupt,
    LogError,
    LogFailed,
    LogForeign,
    LogFull,
    LogReadOnly,
    LogTaken,
    LogUnusable,
    MessageTooLarge,
    NameTaken,
    NoServer,
    PathTooLong,
    PeerUntrusted,
    ProcessClosed,
    ProtocolBroken,
    ReceiveError,
    ReplayDiverged,
    ReplayInterrupted,
    ReservedMessage,
    SendError,
    SystemFailure,
    TimedOut,
    Unacknowledged,
    UnreadExceeded,
    UsedAfterFork,
)
from ipcfold.limits import Limits
from ipcfold.message import InvalidMediaType, MediaType, Message
from ipcfold.peer import InvalidName, Name, Peer
from ipcfold.result import cases

if TYPE_CHECKING:
    from ipcfold.blocking.client import Process
    from ipcfold.blocking.ipc import IPC
    from ipcfold.blocking.server import Server
    from ipcfold.blocking.steady import Steady
    from ipcfold.effects import Ticket
    from ipcfold.inputs import Came, Left, Woken
else:  # a checker would take a `__getattr__` for a sign that every name exists

    def __getattr__(name: str) -> object:
        """Import the shell when the program first uses it: it takes half of the time, and a module of handlers needs none of it.

        The same holds for the values that few programs name.
        """
        if name in {"Came", "Left", "Ticket", "Woken"}:
            from ipcfold import effects, inputs  # noqa: PLC0415 - see above

            globals().update(Came=inputs.Came, Left=inputs.Left, Ticket=effects.Ticket, Woken=inputs.Woken)
            return globals()[name]
        if name == "Steady":
            from ipcfold.blocking import steady  # noqa: PLC0415 - few clients are

            globals().update(Steady=steady.Steady)
            return steady.Steady
        if name not in {"IPC", "Process", "Server"}:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ipcfold.blocking import client, ipc, server  # noqa: PLC0415 - a module of handlers needs no shell

        globals().update(IPC=ipc.IPC, Process=client.Process, Server=server.Server)
        return globals()[name]


def __dir__() -> list[str]:
    """The names, also those that are not imported yet."""
    return sorted({*globals(), *__all__})


__all__ = [
    "IPC",
    "AskError",
    "Came",
    "CloseError",
    "ConnectError",
    "ConnectionClosed",
    "ConnectionDropped",
    "ConnectionLost",
    "ConnectionRefused",
    "Continuation",
    "DirectoryUnusable",
    "Ended",
    "Handler",
    "HandlerFailed",
    "InUse",
    "Interrupted",
    "InvalidMediaType",
    "InvalidName",
    "Left",
    "Limits",
    "ListenError",
    "LogCorrupt",
    "LogError",
    "LogFailed",
    "LogForeign",
    "LogFull",
    "LogReadOnly",
    "LogTaken",
    "LogUnusable",
    "MediaType",
    "Message",
    "MessageTooLarge",
    "Name",
    "NameTaken",
    "NoServer",
    "Outcome",
    "PathTooLong",
    "Peer",
    "PeerUntrusted",
    "Pipeline",
    "Process",
    "ProcessClosed",
    "ProtocolBroken",
    "ReceiveError",
    "ReplayDiverged",
    "ReplayInterrupted",
    "ReservedMessage",
    "SendError",
    "Server",
    "Steady",
    "SystemFailure",
    "Ticket",
    "TimedOut",
    "Unacknowledged",
    "UnreadExceeded",
    "UsedAfterFork",
    "Woken",
    "cases",
    "fold",
    "pipeline",
]
