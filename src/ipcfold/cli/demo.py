"""`ipcfold demo`: the main job on show. A server process that counts, client processes that talk to it, the value it carried."""

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
"""Tells who, of which process, did what."""

_NAME: Final = Name("demo")
_CLIENTS: Final = 3
_QUESTIONS: Final = 14
_PATIENCE: Final = 30.0  # seconds to start a process on a slow machine


def demo(*, as_json: AsJson = False) -> Status:
    """Start a server and clients, and show what they say to each other."""
    failed = list[Complaint]()
    match cases(_played(_tell_json if as_json else _tell, failed)):
        case Success(carry) if as_json:
            say_json({"carried": carry})
        case Success(carry):
            say(f"the server carried {carry}")
        case Failure(error):
            failed.append(error)
    return max(map(complained, failed), default=Status.DONE)


def count(tell: Tell, message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    """Count and answer each message; stop at the one that says so."""
    if message.content == b"stop":
        return continuation.stop(counter)
    tell("server", os.getpid(), f"{message.content.decode()} from process {continuation.peer.pid} is number {counter + 1}")
    return continuation.respond(counter + 1, Message.text(f"pong {counter + 1}"))


def _played(tell: Tell, failed: list[Complaint]) -> Result[int, ListenError[int]]:
    """What the server carried; what went wrong with the clients is added to `failed`."""
    with TemporaryDirectory(prefix="ipcfold") as directory, ProcessPoolExecutor(1 + _CLIENTS, mp_context=get_context("spawn")) as pool:
        with _uninterrupted():
            server = pool.submit(_serve, directory, tell)
            clients = [pool.submit(_talk, directory, number, tell) for number in range(1, _CLIENTS + 1)]
        try:
            for client in clients:
                failed.extend(client.result())
        finally:
            wait(clients)  # also when this is interrupted: it takes a moment, and one that came late would miss the server for long
            stopped = flow(IPC(directory).wait(_NAME, _PATIENCE), flat_map(_stop))
        match cases(stopped):
            case Failure(error):
                failed.append(error)
            case Success(process):
                process.wait()  # for the server to close, which is its answer to that
        return server.result(_PATIENCE)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Processes that are started meanwhile leave Ctrl-C to this one, which then stops the server."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(directory: str, tell: Tell) -> Result[int, ListenError[int]]:
    return IPC(directory).listen(_NAME, signals=())(0, partial(count, tell))


def _stop(process: Process) -> Result[Process, SendError]:
    return process.send(Message.text("stop"))


def _talk(directory: str, number: int, tell: Tell) -> list[ConnectError | AskError]:
    """Ask the questions of one client; what went wrong."""
    match cases(IPC(directory).wait(_NAME, _PATIENCE)):
        case Failure(error):
            return [error]
        case Success(process):
            with process:
                for question in range(1, _QUESTIONS + 1):
                    asked: Result[Message, AskError] = process.ask(Message.text(f"ping {question}"), _PATIENCE)
                    match cases(asked):
                        case Failure(wrong):
                            return [wrong]
                        case Success(response):
                            tell(f"client {number}", os.getpid(), f"ping {question} -> {response.content.decode()}")
    return []


def _tell(who: str, pid: int, what: str) -> None:
    _write(f"{f'{who}, process {pid}':24} {what}\n")


def _tell_json(who: str, pid: int, what: str) -> None:
    _write(json.dumps({"who": who, "pid": pid, "what": what}) + "\n")


def _write(line: str) -> None:
    """In one write, since the lines of several processes must not mix; whether anybody reads is the first one's to find out."""
    with suppress(OSError):
        os.write(1, line.encode())
