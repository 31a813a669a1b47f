"""The accelerator is used where it should be, only there, and it leaks nothing."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from pathlib import Path
from weakref import ref

import pytest
from returns.result import Success

from ipcfold import IPC, Continuation, Message, Name, Process, accelerated
from ipcfold.core.protocol import ClientState
from ipcfold.core.wire import Signal, encode
from ipcfold.message import TEXT_PLAIN
from ipcfold.testing.plugin import Serve
from tests.accelerator.builds import Build
from tests.environment import PLAIN
from tests.shells.support import python

pytestmark = pytest.mark.skipif(not accelerated, reason="the accelerator is not built")

SUB_INTERPRETER = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
interpreter = interpreters.create()
said = interpreters.run_string(interpreter, '''
import ipcfold
assert not ipcfold.accelerated
print(ipcfold.Continuation(0).respond(1, ipcfold.Message.text("x")).carry, flush=True)
''')
assert said is None, said
"""


def test_the_usual_verbs_need_no_python(serve: Serve, ipc: IPC) -> None:
    def echo(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        return continuation.respond(carry + 1, message)

    ping = Message.text("ping")
    with ipc.wait(serve(echo, 0).name).unwrap() as process:
        before = taken()
        for _ in range(10):
            assert process.send(ping) == Success(process)
            assert process.wait() == Success(ping)
            assert process.ask(ping) == Success(ping)
            assert process.ask(ping, 60.0) == Success(ping)
            assert process.ask(ping, timeout=60) == Success(ping)
        assert [after - once for after, once in zip(taken(), before, strict=True)] == [10, 10, 30]


def test_a_server_folds_plain_messages_without_python_in_whatever_cuts(directory: Path) -> None:
    server = talking(directory)
    stream = encode(Message.text("e")) * 20
    for cut in range(len(stream)):
        server.send(0, stream[:cut])
        server.settle()
        server.send(0, stream[cut:])
        server.settle()
    assert server.folded >= len(stream)  # at least one in each turn, however long the handler takes
    server.close()


def test_what_a_handler_keeps_stays_as_it_is_and_nothing_else_is_kept(ipc: IPC) -> None:
    """The memory of a continuation that nobody has any more serves the next message."""

    class Value:
        pass

    values, handed, watched = [], [], []

    def keep(message: Message, continuation: Continuation[Value], carry: Value) -> Continuation[Value]:
        next_carry = Value()
        answer = continuation.respond(next_carry, message)
        values.append(ref(next_carry))
        watched.append(ref(continuation if len(values) % 3 else answer))
        if not len(values) % 5:
            handed.append((continuation, carry, answer, next_carry, message, len(values)))
        return answer

    name = Name("keeper")
    with ipc.listen(name).start(Value(), keep), ipc.wait(name).unwrap() as process:
        messages = [Message.text(f"{number}") for number in range(1, 41)]
        assert process.send(*messages) == Success(process)
        for continuation, carry, answer, next_carry, message, number in handed:
            assert (continuation.carry, continuation.responses, continuation.number) == (carry, (), number)
            assert (answer.carry, answer.responses, answer.number) == (next_carry, (message,), number)
        answered = {number for *_, number in handed}
        carried = answered | {number - 1 for number in answered} | {len(messages)}
        # A frame of Python still has the last message that it folded: the first one, or one that came alone.
        values_left = {number for number, value in enumerate(values, 1) if value() is not None}
        assert carried <= values_left
        assert len(values_left - carried) <= 2, "its carry before and after"
        watched_left = {number for number, made in enumerate(watched, 1) if made() is not None}
        assert answered <= watched_left
        assert len(watched_left - answered) <= 1


def test_an_observer_hears_of_every_message() -> None:
    """With an observer the server does without the accelerator."""
    code = """
import ipcfold, tempfile, threading
from ipcfold.events import Folded
from pathlib import Path
events = []
with tempfile.TemporaryDirectory() as name:
    ipc = ipcfold.IPC(Path(name), observe=events.append)
    server = ipcfold.Name.of("observed").unwrap()
    thread = threading.Thread(target=lambda: ipc.listen(server)(0, lambda message, continuation, carry: continuation.stop(carry)))
    thread.start()
    ipc.wait(server).unwrap().send(ipcfold.Message.text("stop"))
    thread.join()
print(sum(isinstance(event, Folded) for event in events))
"""
    assert python("-c", code).stdout == "1\n"


def test_without_the_accelerator_everything_is_python() -> None:
    code = "import ipcfold; print(ipcfold.accelerated, type(ipcfold.Process.send).__name__)"
    assert python("-c", code, environment={**PLAIN, "IPCFOLD_PURE": "1"}).stdout == "False function\n"
    assert python("-c", code).stdout == "True Pair\n"


def test_a_sub_interpreter_does_without_the_accelerator() -> None:
    assert python("-c", SUB_INTERPRETER).stdout == "1\n"


def test_no_reference_and_no_memory_is_leaked(directory: Path) -> None:
    server = talking(directory)
    batches = [encode(Message.text(content)) * 5 for content in ("e", "n", "m", "t", "u", "g", "x" * 100)]
    watched = [TEXT_PLAIN, Signal.RECEIVED, ClientState.TALKING, server.engine, b"", ()]

    def run(times: int) -> tuple[list[int], int]:
        for _ in range(times):
            for batch in batches:
                server.send(0, batch)
                server.settle()
        gc.collect()
        return [sys.getrefcount(each) for each in watched], tracemalloc.get_traced_memory()[0]

    run(3)
    tracemalloc.start()
    try:
        few = run(20)
        many = run(200)
    finally:
        tracemalloc.stop()
    assert all(abs(after - before) < 100 for before, after in zip(few[0], many[0], strict=True))
    assert many[1] - few[1] < 50_000  # bytes, of 7,000 messages
    server.close()


def taken() -> list[int]:
    """How many calls of `send`, `wait` and `ask` needed no Python."""
    return [getattr(verb, "taken") for verb in (Process.send, Process.wait, Process.ask)]  # noqa: B009 - type checkers see functions


def talking(directory: Path) -> Build:
    """A server with one client that it has greeted."""
    server = Build(directory, accelerate=True)
    server.connect()
    server.settle()
    server.send(0, Signal.START_OK.frame)
    server.settle()
    return server
