"""A forked child of a server or of a client disturbs neither, wherever the fork happens, and is told so."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from returns.result import Failure, Success

from ipcfold import IPC, Continuation, Message, Peer, UsedAfterFork
from ipcfold.blocking import loop
from ipcfold.events import Connected, Disconnected, Event, Folded, Listening, Stopping
from ipcfold.testing.plugin import serving
from tests.shells.children import Channel, Child
from tests.shells.handlers import EMPTY, Log, log
from tests.shells.support import NAME, PATIENCE, PING, PONG, ServerProcess
from tests.shells.wire import RECEIVED, Wire

PLACES = ["handler", "trust", "signal", *(kind.__name__ for kind in (Listening, Connected, Folded, Disconnected, Stopping))]

FORKS = [
    pytest.param(os.fork, id="by Python"),
    # A library in C forks without the hooks of Python. `PyDLL` keeps the interpreter's lock, which the child would miss.
    pytest.param(lambda: ctypes.PyDLL(None).fork(), id="by a library in C"),
]


def served(directory: Path, place: str, fork: Callable[[], int]) -> object:
    """A server in which a fork happens once at that place: its result, and that of the child which came back from there."""
    read, write = os.pipe()
    owner, forked = os.getpid(), list[str]()

    def at(here: str) -> None:
        if here == place and not forked:
            forked.append(here)
            fork()

    def handler(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        at("handler")
        return log(message, continuation, carry)

    def trust(_: Peer) -> bool:
        at("trust")
        return True

    def observe(event: Event) -> None:
        at(type(event).__name__)

    signal.signal(signal.SIGUSR1, lambda _, __: at("signal"))
    result = IPC(directory, heartbeat=0.1, trust=trust, observe=observe).listen(NAME)(EMPTY, handler)
    if os.getpid() != owner:
        os.write(write, str(result).encode())
        os._exit(0)
    os.close(write)
    return result, os.read(read, 1000).decode()


@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.parametrize("place", PLACES)
def test_a_child_that_is_forked_anywhere_in_a_server_is_told_so(directory: Path, place: str, fork: Callable[[], int]) -> None:
    """And the clients of its parent notice nothing."""
    with Child(lambda _: served(directory, place, fork)) as server:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            assert process.ask(PING) == Success(PONG)
            server.signal(signal.SIGUSR1)
            for number in range(5):
                message = Message.text(f"echo {number}")
                assert process.ask(message) == Success(message)
            assert process.send(Message.text("stop")) == Success(process)
        folded = ("ping", *(f"echo {number}" for number in range(5)), "stop")
        assert server.result() == str((Success(folded), str(Failure(UsedAfterFork(NAME, server.pid)))))
    assert list(directory.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows a fork by a library in C at once")
@pytest.mark.parametrize("fork", FORKS)
def test_a_child_that_the_handler_forks_handles_no_other_message(directory: Path, fork: Callable[[], int]) -> None:
    """All messages arrive before the handler is called, so that the server asks for them in one go."""

    def work(_: Channel) -> object:
        setattr(loop, "_BURST", PATIENCE)  # noqa: B010 - mypy refuses the assignment to a constant; a fork takes longer than a burst
        read, write = os.pipe()
        owner = os.getpid()

        def handler(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            if message.content == b"split":
                fork()
            elif os.getpid() != owner:
                os.write(write, message.content)
            return log(message, continuation, carry)

        result = IPC(directory).listen(NAME)(EMPTY, handler)
        if os.getpid() != owner:
            os.write(write, type(result.failure()).__name__.encode())
            os._exit(0)
        os.close(write)
        return result, os.read(read, 1000).decode()

    with Child(work) as server:
        IPC(directory).wait(NAME, PATIENCE).unwrap().close()
        with Wire.talking(directory) as client:
            client.write("split", *["quiet"] * 20).expect(*[RECEIVED] * 21)
        assert server.stop() == str((Success(("split", *["quiet"] * 20)), "UsedAfterFork"))


def test_an_exception_of_the_handler_leaves_the_server_in_a_forked_child(directory: Path) -> None:
    def serve(_: object) -> object:
        read, write = os.pipe()

        def handler(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
            if os.fork() == 0:
                raise SystemExit(3)
            return continuation.stop(carry + 1)

        try:
            result = IPC(directory).listen(NAME)(0, handler)
        except SystemExit as left:
            os.write(write, repr(left).encode())
            os._exit(0)
        os.close(write)
        return result, os.read(read, 1000).decode()

    with Child(serve) as server, IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
        assert process.send(PING) == Success(process)
        process.close()
        assert server.result() == str((Success(1), "SystemExit(3)"))


@pytest.mark.parametrize("fork", FORKS)
def test_every_verb_says_that_the_connection_belongs_to_another_process(
    directory: Path, server: ServerProcess, fork: Callable[[], int]
) -> None:
    def use(_: object) -> object:
        with IPC(directory).get(NAME).unwrap() as process:
            process.send(Message.text("many 2")).unwrap()
            child = fork()
            if child == 0:
                forked = Failure(UsedAfterFork(NAME, os.getppid()))
                said = (process.wait(), process.send(PING), process.ask(PING), process.close())
                os._exit(0 if said == (forked,) * 4 and process.closed else 1)
            return os.waitpid(child, 0)[1], [process.wait(), process.wait(), process.ask(PING)]

    with Child(use) as user:
        assert user.result() == str((0, [Success(Message.text("0")), Success(Message.text("1")), Success(PONG)]))
        assert server.stop() == ["many 2", "ping"]


def test_a_child_that_a_signal_handler_forks_during_a_verb_is_told_so(directory: Path, server: ServerProcess, gate: Path) -> None:
    def use(line: Channel) -> object:
        read, write = os.pipe()
        owner = os.getpid()

        def fork(_: int, __: object) -> None:
            if os.fork() != 0:
                line.say("forked")

        signal.signal(signal.SIGUSR1, fork)
        process = IPC(directory).get(NAME).unwrap()
        answer = process.ask(Message.text(f"block {gate}"))
        if os.getpid() != owner:
            os.write(write, str(answer).encode())
            os._exit(0)
        os.close(write)
        return answer, os.read(read, 1000).decode(), process.close()

    with Child(use) as user:
        with gate.open("wb"):  # opens once the handler has the message
            user.signal(signal.SIGUSR1)
            assert user.hear() == "forked"
        assert user.result() == str((Success(Message.text("released")), str(Failure(UsedAfterFork(NAME, user.pid))), Success(None)))
        assert server.stop() == [f"block {gate}"]


@pytest.mark.parametrize("place", ["trust", "signal"])
def test_a_child_that_is_forked_while_its_parent_connects_gets_an_error(directory: Path, server: ServerProcess, place: str) -> None:
    def use(_: object) -> object:
        read, write = os.pipe()
        owner = os.getpid()

        def fork(*_: object) -> bool:
            os.fork()
            return True

        def strike(_: Peer) -> bool:
            signal.raise_signal(signal.SIGUSR1)
            return True

        signal.signal(signal.SIGUSR1, fork)
        reached = IPC(directory, trust=fork if place == "trust" else strike).get(NAME)
        if os.getpid() != owner:
            os.write(write, str(reached).encode())
            os._exit(0)
        os.close(write)
        return os.read(read, 1000).decode(), reached.unwrap().ask(PING), reached.unwrap().close()

    with Child(use) as user:
        told = user.result()
        assert "this process was forked from one that connected" in told
        assert told.endswith(f"{Success(PONG)}, {Success(None)})")
        assert server.stop() == ["ping"]


def test_no_descriptor_is_passed_on_to_a_program_that_is_executed(directory: Path) -> None:
    before, during = set(os.listdir("/dev/fd")), dict[str, bool]()

    def handler(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        for descriptor in set(os.listdir("/dev/fd")) - before:
            with suppress(OSError):  # that of the listing
                during[descriptor] = os.get_inheritable(int(descriptor))
        return continuation.continue_(carry + 1)

    with serving(IPC(directory)) as serve:
        server = serve(handler, 0)
        with server.connect() as process:
            assert process.send(PING) == Success(process)
        assert server.stop() == Success(1)
    assert len(during) >= 6  # the lock, the listener, the poller, the wakeup, the connection; the listing had the number of one
    assert not any(during.values())
