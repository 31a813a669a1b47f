"""The main job on show: a server process that counts, client processes that talk to it, the value it carried."""

import os
import sys
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from tempfile import TemporaryDirectory
from typing import Final

from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold import IPC, AskError, ConnectError, Continuation, ListenError, Message, Name, Process, SendError, cases
from ipcfold.pointfree import flat_map

_NAME: Final = Name("demo")
_CLIENTS: Final = 3
_QUESTIONS: Final = 14
_PATIENCE: Final = 30.0  # seconds to start a process on a slow machine


def count(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    """Count and answer each message; stop at the one that says so."""
    if message.content == b"stop":
        return continuation.stop(counter)
    _say(f"server, process {os.getpid()}", f"{message.content.decode()} from process {continuation.peer.pid} is number {counter + 1}")
    return continuation.respond(counter + 1, Message.text(f"pong {counter + 1}"))


def demo() -> int:
    """Run it; the exit status."""
    with TemporaryDirectory(prefix="ipcfold") as directory, ProcessPoolExecutor(1 + _CLIENTS, mp_context=get_context("spawn")) as pool:
        server = pool.submit(_serve, directory)
        clients = [pool.submit(_talk, directory, number) for number in range(1, _CLIENTS + 1)]
        failed = [error for client in clients if (error := client.result())]
        stopped = flow(IPC(directory).wait(_NAME, _PATIENCE), flat_map(_stop))
        return _told(failed, stopped, server)


def _told(failed: list[str], stopped: Result[Process, ConnectError | SendError], server: "Future[Result[int, ListenError[int]]]") -> int:
    match cases(stopped):
        case Failure(error):
            failed.append(str(error))
        case Success(process):
            process.wait()  # for the server to close, which is its answer to that
    match cases(server.result(_PATIENCE)):
        case Success(carry):
            print(f"the server carried {carry}")
        case Failure(wrong):
            failed.append(str(wrong))
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


def _serve(directory: str) -> Result[int, ListenError[int]]:
    return IPC(directory).listen(_NAME)(0, count)


def _stop(process: Process) -> Result[Process, SendError]:
    return process.send(Message.text("stop"))


def _talk(directory: str, number: int) -> str:
    """Ask the questions of one client; what went wrong, or nothing."""
    match cases(IPC(directory).wait(_NAME, _PATIENCE)):
        case Failure(error):
            return str(error)
        case Success(process):
            with process:
                for question in range(1, _QUESTIONS + 1):
                    asked: Result[Message, AskError] = process.ask(Message.text(f"ping {question}"), _PATIENCE)
                    match cases(asked):
                        case Failure(wrong):
                            return str(wrong)
                        case Success(response):
                            _say(f"client {number}, process {os.getpid()}", f"ping {question} -> {response.content.decode()}")
    return ""


def _say(who: str, what: str) -> None:
    print(f"{who:24} {what}\n", end="", flush=True)  # in one write: the lines of several processes must not mix
