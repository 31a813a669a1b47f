"""The asyncio client, driven from code that blocks, so that the contract of all shells can test it.

Its loop runs only while a verb runs.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from returns.result import Result

from ipcfold import AskError, CloseError, ConnectError, DirectoryUnusable, Message, Name, Peer, ReceiveError, SendError, aio
from tests.shells.serve_aio import loop_factory

T = TypeVar("T")


class Runners:
    """The runners of the threads of a process, each with a loop of its own."""

    def __init__(self, loop: str) -> None:
        self._loop = loop
        self._runners = dict[tuple[int, int], asyncio.Runner]()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        key = os.getpid(), threading.get_ident()
        if key not in self._runners:
            self._runners[key] = asyncio.Runner(loop_factory=loop_factory(self._loop))
        return self._runners[key].run(coroutine)

    def close(self) -> None:
        for (pid, _), runner in self._runners.items():
            if pid == os.getpid():
                runner.close()
        self._runners.clear()


class BridgedProcess:
    """An `aio.Process` with the methods of a `Process`."""

    def __init__(self, process: aio.Process, run: Callable[..., Any]) -> None:
        self._process = process
        self._run = run

    @property
    def name(self) -> Name:
        return self._process.name

    @property
    def peer(self) -> Peer:
        return self._process.peer

    @property
    def closed(self) -> bool:
        return self._process.closed

    def send(self, *messages: Message) -> "Result[BridgedProcess, SendError]":
        sent: Result[aio.Process, SendError] = self._run(self._process.send(*messages))
        return sent.map(lambda _: self)

    def wait(self, timeout: float | None = None) -> Result[Message, ReceiveError]:
        result: Result[Message, ReceiveError] = self._run(self._process.wait(timeout))
        return result

    def ask(self, message: Message, timeout: float | None = None) -> Result[Message, AskError]:
        result: Result[Message, AskError] = self._run(self._process.ask(message, timeout))
        return result

    def close(self) -> Result[None, CloseError]:
        result: Result[None, CloseError] = self._run(self._process.close())
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Bridge:
    """Makes what behaves like an `IPC`, in loops of one kind."""

    def __init__(self, loop: str) -> None:
        self.runners = Runners(loop)

    def __call__(self, directory: Path, **options: Any) -> "BridgedIPC":
        return BridgedIPC(aio.IPC(directory, **options), self.runners.run)


class BridgedIPC:
    """An `aio.IPC` with the methods of an `IPC`."""

    def __init__(self, ipc: aio.IPC, run: Callable[..., Any]) -> None:
        self._ipc = ipc
        self._run = run

    def processes(self) -> Result[frozenset[Name], DirectoryUnusable]:
        result: Result[frozenset[Name], DirectoryUnusable] = self._run(self._ipc.processes())
        return result

    def exists(self, name: Name) -> Result[bool, DirectoryUnusable]:
        result: Result[bool, DirectoryUnusable] = self._run(self._ipc.exists(name))
        return result

    def get(self, name: Name) -> Result[BridgedProcess, ConnectError]:
        result: Result[aio.Process, ConnectError] = self._run(self._ipc.get(name))
        return result.map(lambda process: BridgedProcess(process, self._run))

    def wait(self, name: Name, timeout: float | None = None) -> Result[BridgedProcess, ConnectError]:
        result: Result[aio.Process, ConnectError] = self._run(self._ipc.wait(name, timeout))
        return result.map(lambda process: BridgedProcess(process, self._run))
