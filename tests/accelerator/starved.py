"""Ends of which one memory allocation fails: `python -m tests.accelerator.starved DIRECTORY client|CONTENT`.

`client` starves the verbs of a client, each other word a server whose client sends messages of that content.
"""

import _testcapi  # type: ignore[import-not-found]  # it is CPython's, for its own tests
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from returns.result import Failure, Result, Success

from ipcfold import IPC, Continuation, Interrupted, Message, Process, Unacknowledged
from ipcfold.core.wire import Encoder, Signal, encode
from tests.accelerator.builds import LIMITS, Build, handler
from tests.shells.support import NAME

T = TypeVar("T")

STEPS = 150  # more allocations than a verb makes


def starve(step: int, use: Callable[[], T]) -> T | None:
    """The result of a use whose allocation of that number fails; `None` if it raised."""
    with suppress(MemoryError, SystemError):  # Python itself raises the second where some calls get no memory
        _testcapi.set_nomemory(step, step + 1)
        try:
            return use()
        finally:
            _testcapi.remove_mem_hooks()
    return None


def connect(ipc: IPC) -> Process:
    return ipc.wait(NAME, 60.0).unwrap()


def clients(directory: str) -> None:
    ipc = IPC(directory)
    if not os.fork():

        def echo(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
            return continuation.respond(carry + 1, message)

        ipc.listen(NAME, 5.0)(0, echo)
        os._exit(0)
    process = connect(ipc)
    interrupted = 0
    for step in range(STEPS):
        verbs: dict[str, Callable[[Message], object]] = {
            "ask": process.ask,
            "ask in time": partial(process.ask, timeout=60.0),
            "send": process.send,
        }
        for name, verb in verbs.items():
            wanted = Message.text(f"{name} {step}")
            again = Message.text(f"{name} {step} again")
            starve(step, partial(verb, wanted))
            after: Result[Message, object] = process.ask(again)
            if isinstance(after, Failure) and isinstance(after.failure(), Interrupted | Unacknowledged):
                interrupted += 1
                process = connect(ipc)
                break
            assert after == Success(again), (name, step, after)
            if name == "send":
                got = starve(step, process.wait)
                assert got is None or got == Success(wanted), (step, got)
            encoder = Encoder(LIMITS)
            found = starve(step, partial(encoder.encode, (wanted, again)))
            assert found is None or b"".join(found) == encode(wanted) + encode(again)
    assert interrupted < STEPS
    process.close()
    os.wait()


def servers(content: str) -> None:
    for step in range(STEPS):
        with tempfile.TemporaryDirectory() as name:
            server = Build(Path(name), accelerate=True, handler=handler)
            server.connect()
            server.settle()
            server.send(0, Signal.START_OK.frame)
            server.settle()
            server.send(0, encode(Message.text(content)) * 3)
            starve(step, partial(server.engine.turn, 0.0))
            got = server.received(0)
            result = server.result()
            carry = result.unwrap() if isinstance(result, Success) else result.failure().carry
            assert carry >= got.count(Signal.RECEIVED.frame), (step, carry, got)
            server.close()


def main(directory: str, what: str) -> None:
    if what == "client":
        clients(directory)
    else:
        servers(what)
    print("done")  # noqa: T201 - the output is its purpose


if __name__ == "__main__":
    main(*sys.argv[1:])
