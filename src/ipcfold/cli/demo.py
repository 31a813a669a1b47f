"""`ipcfold demo`: a server process counts the messages of client processes, and returns the count as its carry."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold import IPC, AskError, ConnectError, Continuation, ListenError, Message, Name, Process, SendError, cases
from ipcfold.cli.output import complained, say, say_json
from ipcfold.cli.parameters import AsJson
from ipcfold.cli.status import Complaint, Status
from ipcfold.pointfree import flat_map

Tell: TypeAlias = Callable[[str, int, str], None]
"""Prints an action: `(role, process id, what it did)`."""

_NAME: Final = Name("demo")
_CLIENTS: Final = 3
_COUNTED: Final = 12  # messages that a client sends at once
_QUESTIONS: Final = 2
_TOLD: Final = (
    f"One server process counts the messages of {_CLIENTS} client processes. "
    f"Each client sends {_COUNTED} at once, then asks {_QUESTIONS} times for the count."
)
_SHOWN: Final = f"each of the {_CLIENTS} x {_COUNTED + _QUESTIONS} messages was counted once, whichever process it came from"
_PATIENCE: Final = 30.0  # seconds, enough to start a process on a slow machine


def demo(*, as_json: AsJson = False) -> Status:
    """Start a server and clients, and show the messages between them."""
    failed = list[Complaint]()
    if not as_json:
        say(_TOLD)
    match cases(_played(_tell_json if as_json else _tell, failed)):
        case Success(carry) if as_json:
            say_json({"carried": carry})
        case Success(carry):
            say(f"the server carried {carry}: {_SHOWN}" if not failed else f"the server carried {carry}")
        case Failure(error):
            failed.append(error)
    return max(map(complained, failed), default=Status.DONE)


def count(tell: Tell, message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    """Count each message, answer `how many?` with the count, and stop the server at `stop`."""
    match message.content:
        case b"stop":
            return continuation.stop(counter)
        case b"how many?":
            tell("server", os.getpid(), f"answers process {continuation.peer.pid}: {counter + 1}")
            return continuation.respond(counter + 1, Message.text(f"{counter + 1}"))
        case _:
            return continuation.continue_(counter + 1)


def _played(tell: Tell, failed: list[Complaint]) -> Result[int, ListenError[int]]:
    """Run the server and the clients, and return the last carry; errors of clients are added to `failed`."""
    with TemporaryDirectory(prefix="ipcfold") as directory, _processes() as pool:
        with _uninterrupted():
            server = pool.submit(_serve, directory, tell)
            clients = [pool.submit(_talk, directory, number, tell) for number in range(1, _CLIENTS + 1)]
        try:
            for client in clients:
                failed.extend(client.result())
        finally:
            wait(clients)  # also after Ctrl-C: a late client would otherwise wait the full time for a stopped server
            stopped = flow(IPC(directory).wait(_NAME, _PATIENCE), flat_map(_stop))
        match cases(stopped):
            case Failure(error):
                failed.append(error)
            case Success(process):
                process.wait()  # until the server closes the connection, because a stop has no response
        return server.result(_PATIENCE)


def _processes() -> ProcessPoolExecutor:
    """A pool with one new process per task, so that each client is a process of its own."""
    return ProcessPoolExecutor(1 + _CLIENTS, mp_context=get_context("spawn"), max_tasks_per_child=1)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Start processes that ignore Ctrl-C. This process handles it, and then stops the server."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(directory: str, tell: Tell) -> Result[int, ListenError[int]]:
    return IPC(directory).listen(_NAME, signals=())(0, partial(count, tell))


def _stop(process: Process) -> Result[Process, SendError]:
    return process.send(Message.text("stop"))


def _talk(directory: str, number: int, tell: Tell) -> list[ConnectError | SendError | AskError]:
    """Send the messages of one client, ask its questions, and return the errors."""
    told = partial(tell, f"client {number}", os.getpid())
    match cases(IPC(directory).wait(_NAME, _PATIENCE)):
        case Failure(error):
            return [error]
        case Success(process):
            with process:
                match cases(process.send(*[Message.text("one more")] * _COUNTED)):
                    case Failure(unsent):
                        return [unsent]
                    case Success():
                        told(f"sent {_COUNTED} messages: they are acknowledged, so the server has counted them")
                for _ in range(_QUESTIONS):
                    asked: Result[Message, AskError] = process.ask(Message.text("how many?"), _PATIENCE)
                    match cases(asked):
                        case Failure(wrong):
                            return [wrong]
                        case Success(response):
                            told(f"asked: how many? -> {response.content.decode()}")
    return []


def _tell(who: str, pid: int, what: str) -> None:
    _write(f"{f'{who}, process {pid}':24} {what}\n")


def _tell_json(who: str, pid: int, what: str) -> None:
    _write(json.dumps({"who": who, "pid": pid, "what": what}) + "\n")


def _write(line: str) -> None:
    """Write the line in one system call, so that lines of several processes do not mix. Only the parent reports a closed output."""
    with suppress(OSError):
        os.write(1, line.encode())
