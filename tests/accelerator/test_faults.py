"""The accelerator does what the Python code does in odd cases: halves of frames, signals, forks, odd values, long calls."""

from __future__ import annotations

import pydoc
import socket
import sys
from pathlib import Path
from threading import Timer
from time import monotonic

import attrs
import pytest
from returns.result import Success

from ipcfold import IPC, Continuation, Limits, Message, Process, accelerated
from ipcfold.blocking.driver import Driver
from ipcfold.core.wire import Encoder, Signal, encode
from ipcfold.events import Departure
from ipcfold.testing.plugin import Serve
from tests.accelerator.builds import Build
from tests.shells.support import NAME, PATIENCE, PING, PONG, beside, python
from tests.shells.wire import HEARTBEAT, RECEIVED, Wire

pytestmark = pytest.mark.skipif(not accelerated, reason="the accelerator is not built")
linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a server does without the accelerator")
starving = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="CPython 3.12.1 and 3.13.0 themselves crash where a generator gets no memory"
)

BUILDS = pytest.mark.parametrize(
    ("accelerate", "compiled"), [(True, True), (True, False), (False, False)], ids=["compiled", "common path", "classes"]
)


def talking(server: Build) -> Build:
    """Connect a client that accepts the greeting."""
    server.connect()
    server.settle()
    server.send(0, Signal.START_OK.frame)
    server.settle()
    return server


@BUILDS
def test_a_heartbeat_in_two_halves_ends_the_time_of_its_frame(directory: Path, *, accelerate: bool, compiled: bool) -> None:
    server = talking(Build(directory, accelerate=accelerate, compiled=compiled))
    server.send(0, Signal.HEARTBEAT.frame[:9])
    server.settle()
    begun = server.facts()
    server.send(0, Signal.HEARTBEAT.frame[9:])
    server.settle()
    assert begun != server.facts()
    assert server.end()._begun is None  # noqa: SLF001 - no byte tells of it until `limits.frame` has passed
    server.close()


@BUILDS
def test_what_follows_an_interrupted_message_is_kept(directory: Path, *, accelerate: bool, compiled: bool) -> None:
    """The rest of a frame must not look like the beginning of one."""
    server = talking(Build(directory, accelerate=accelerate, compiled=compiled))
    end, ping = server.end(), encode(PING)
    server.send(0, encode(Message.text("k")) + ping[:7])
    assert server.settle() == [Signal.CLOSE.frame]
    server.send(0, ping[7:] + Signal.CLOSE_OK.frame)
    assert server.settle() == [b"|"]
    assert (end.departure, end.fault) == (Departure.DISMISSED, "")
    server.close()


@linux
@pytest.mark.parametrize("compiled", [True, False])
def test_the_time_of_a_wait_is_not_the_time_of_a_handler(directory: Path, *, compiled: bool) -> None:
    """Answers that are written while the handler runs do not prolong the time for a frame by the time without any message."""
    written = list[float]()
    paused = list[float]()

    def slow(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        shared = server.core.shared
        before = shared.paused
        server.engine.flush()  # as another thread does
        paused.append(shared.paused - before)
        written.append(monotonic() - wrote[0])
        server.engine.wakeup.call()  # otherwise the turn goes on
        return continuation.respond(carry + 1, message)

    wrote = list[float]()
    server = talking(Build(directory, accelerate=True, compiled=compiled, handler=slow))

    def write() -> None:
        wrote.append(monotonic())
        server.send(0, encode(PING))

    timer = Timer(0.2, write)
    timer.start()
    while not paused:
        server.engine.turn(PATIENCE)
    timer.join()
    assert paused[0] <= written[0]
    server.close()


@linux
def test_what_a_flush_cannot_write_waits_in_the_outbox(directory: Path) -> None:
    """Otherwise something else could be written into the middle of a frame."""

    def flushing(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        server.engine.flush()
        return continuation.respond(carry + 1, Message.text(f"{carry:060000}"))

    server = talking(Build(directory, accelerate=True, handler=flushing))
    before = server.folded
    server.send(0, encode(PING) * 60)
    received = b""
    while received.count(b"\xce") < 120:
        received += b"".join(server.settle())
    expected = b"".join(Signal.RECEIVED.frame + encode(Message.text(f"{carry:060000}")) for carry in range(60))
    assert received == expected
    assert server.folded > before
    server.close()


FLOATS = Limits(unread=2.0**20, message=2.0**16)  # type: ignore[arg-type]  # nothing refuses them at run time


@pytest.mark.parametrize("limits", [Limits(unread=2**70, unsent=2**70), FLOATS])
def test_limits_may_be_numbers_of_any_size_and_kind(serve: Serve, ipc: IPC, limits: Limits) -> None:
    def echo(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        return continuation.respond(carry + 1, message)

    server = serve(echo, 0)
    with attrs.evolve(ipc, limits=limits).wait(server.name).unwrap() as process:
        assert process.ask(PING) == Success(PING)
        assert process.send(PING) == Success(process)
        assert process.wait() == Success(PING)


def test_an_unfinished_value_is_an_error_and_no_crash() -> None:
    process = Process.__new__(Process)
    with socket.socket() as stream:
        process._driver = Driver(stream, 1.0, Limits())  # noqa: SLF001 - its `__del__` needs one
    for use in (process.send, process.ask):
        with pytest.raises(AttributeError):
            use(PING)
    with pytest.raises(AttributeError):
        process.wait()
    with pytest.raises(AttributeError):
        Continuation.__new__(Continuation).respond(0)
    with pytest.raises(AttributeError):
        Encoder.encode(42, (PING,))  # type: ignore[arg-type]  # no type checker has seen it
    with pytest.raises(AttributeError):
        Encoder(Limits()).encode((Message.__new__(Message),))


def test_a_function_in_c_says_what_the_one_in_python_says() -> None:
    assert Process.send.__doc__
    assert "Success means" in pydoc.getdoc(Process.send)


def test_a_client_whose_message_takes_long_sends_heartbeats(directory: Path) -> None:
    """Although something arrives all the time."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / f"{NAME}.sock"))
        listener.listen()

        def serve() -> None:
            wire = Wire(listener.accept()[0]).greet()
            assert wire.read(800) == ",".join(["x"] * 800)
            left = 799
            while not wire.heard(0.002) and left:
                wire.write(RECEIVED)
                left -= 1
            assert left
            assert wire.read_any() == HEARTBEAT
            wire.write(*[RECEIVED] * (left + 1))
            wire.close()

        with beside(serve):
            process = IPC(directory, heartbeat=0.05).wait(NAME, PATIENCE).unwrap()
            assert process.send(*[Message.text("x")] * 800) == Success(process)


@pytest.mark.parametrize("verb", ["ask", "send", "wait"])
def test_a_child_that_a_signal_handler_forks_reads_nothing(directory: Path, verb: str) -> None:
    """Not even if a library in C forks, which runs no hooks."""
    child, parent = python("-m", "tests.accelerator.forked", directory, verb).stdout.splitlines()
    assert "which forked this one" in child
    assert parent.startswith("<Success: <Process server" if verb == "send" else f"<Success: {PONG!r}")


REIMPORTED = """
import sys, tempfile, threading
from pathlib import Path
def use():
    import ipcfold
    def echo(message, continuation, carry):
        return continuation.respond(carry, message).stop(carry)
    with tempfile.TemporaryDirectory() as name:
        ipc = ipcfold.IPC(Path(name))
        server = ipcfold.Name.of("again").unwrap()
        thread = threading.Thread(target=lambda: ipc.listen(server)(0, echo))
        thread.start()
        print(ipc.wait(server).unwrap().ask(ipcfold.Message.text("ping")).unwrap().content, flush=True)
        thread.join()
use(), use()
for name in [name for name in sys.modules if name.split(".")[0] == "ipcfold"]:
    del sys.modules[name]
use(), use()
"""


def test_the_library_may_be_imported_afresh() -> None:
    assert python("-c", REIMPORTED).stdout == "b'ping'\n" * 4


@starving
def test_no_memory_at_any_step_of_a_client_confuses_no_answers(directory: Path) -> None:
    pytest.importorskip("_testcapi", reason="this interpreter has no way to make allocations fail")
    lines = python("-m", "tests.accelerator.starved", directory, "client").stdout.splitlines()
    assert lines[-1] == "done"


@linux
@starving
@pytest.mark.parametrize("content", ["e", "m", "u", "t", "n"])
def test_a_server_without_memory_at_any_step_acknowledges_only_what_it_keeps(directory: Path, content: str) -> None:
    pytest.importorskip("_testcapi", reason="this interpreter has no way to make allocations fail")
    lines = python("-m", "tests.accelerator.starved", directory, content).stdout.splitlines()
    assert lines[-1] == "done"
