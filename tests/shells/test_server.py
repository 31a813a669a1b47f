"""What concerns the process that a blocking server runs in: its signals, its threads, its files."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from returns.result import Failure, Success

from ipcfold import (
    IPC,
    ConnectionClosed,
    ConnectionRefused,
    Continuation,
    Message,
    Name,
    NameTaken,
    Peer,
    PeerUntrusted,
    SystemFailure,
    TimedOut,
)
from ipcfold.peer import Trust
from tests.shells.support import CLOSE, CLOSE_OK, NAME, PATIENCE, RECEIVED, Wire

SignalHandler = signal.Handlers | Callable[[int, FrameType | None], object]


def count(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    if message.content == b"stop":
        return continuation.stop(carry)
    return continuation.respond(carry + 1, message)


def stopped_by_hand(directory: Path) -> None:
    with Wire.talking(directory) as client:
        client.write("stop")
        assert client.read(2).endswith(CLOSE)
        client.write(CLOSE_OK)


@contextmanager
def interrupts(handler: SignalHandler) -> Iterator[None]:
    """SIGINT does this meanwhile."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("signals", [None, [signal.SIGUSR1]], ids=["default", "chosen"])
@pytest.mark.parametrize("own", [signal.default_int_handler, signal.SIG_IGN, lambda _, __: None], ids=["Python's", "ignored", "another"])
def test_previous_handlers_are_put_back(directory: Path, own: SignalHandler, signals: list[signal.Signals] | None) -> None:
    watched = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1]
    during = list[object]()

    def look(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        during.extend(signal.getsignal(number) for number in watched)
        os.kill(os.getpid(), watched[-1] if signals else watched[0])
        return continuation.continue_(carry + 1)

    ipc = IPC(directory)
    listen = ipc.listen(NAME, signals=signals) if signals else ipc.listen(NAME)

    def converse() -> None:
        with ipc.wait(NAME, PATIENCE).unwrap() as process:
            process.send(Message.text("look")).unwrap()

    with interrupts(own), ThreadPoolExecutor(1) as pool:
        before = [signal.getsignal(number) for number in watched]
        conversing = pool.submit(converse)
        assert listen(0, look) == Success(1)  # the message at the handler is folded; then the signal ends it
        conversing.result(PATIENCE)
        assert [signal.getsignal(number) for number in watched] == before
    changed = [now != then for now, then in zip(during, before, strict=True)]
    pythons = own is signal.default_int_handler  # which would raise in the midst of things
    assert changed == ([False, pythons, False, True] if signals else [True, True, True, False])


def test_a_keyboard_interrupt_of_its_own_making_keeps_the_carry(directory: Path) -> None:
    ipc = IPC(directory)

    def interrupt() -> None:
        with ipc.wait(NAME, PATIENCE).unwrap() as process:
            process.send(Message.text("one")).unwrap()
            os.kill(os.getpid(), signal.SIGINT)
            process.wait()
            process.wait()

    with ThreadPoolExecutor(1) as pool:
        interrupting = pool.submit(interrupt)
        assert ipc.listen(NAME, signals=())(0, count) == Success(1)
        interrupting.result(PATIENCE)


@pytest.mark.parametrize("signals", [(), (signal.SIGINT,)], ids=["Python's", "ours"])
def test_a_handler_that_catches_its_interrupt_is_interrupted_again(directory: Path, signals: tuple[signal.Signals, ...]) -> None:
    caught = list[int]()

    def catch(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        for number in range(4):
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                caught.append(number)
        return count(message, continuation, carry)

    def converse() -> object:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            process.send(Message.text("one")).unwrap()
            process.send(Message.text("stop"))
            return process.close()

    with interrupts(signal.default_int_handler), ThreadPoolExecutor(1) as pool:
        conversing = pool.submit(converse)
        assert IPC(directory).listen(NAME, signals=signals)(0, catch) == Success(1)
        assert conversing.result(PATIENCE) == Success(None)
    # The first one asks for the end; where it is Python's, each interrupts, and caught ones ask for nothing.
    assert caught == ([1, 2, 3] if signals else [0, 1, 2, 3] * 2)


def test_in_another_thread_signals_are_left_alone(directory: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(IPC(directory).listen(NAME), 0, count)
        process = IPC(directory).wait(NAME, PATIENCE).unwrap()
        assert signal.getsignal(signal.SIGTERM) is before
        assert process.ask(Message.text("ping")) == Success(Message.text("ping"))
        assert process.close() == Success(None)
        stopped_by_hand(directory)
        assert serving.result(PATIENCE) == Success(1)


def test_threads_of_one_process_exclude_each_other(directory: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(IPC(directory).listen(NAME), 0, count)
        IPC(directory).wait(NAME, PATIENCE).unwrap().close()
        taken = NameTaken(NAME, directory / "server.sock", os.getpid())
        assert IPC(directory).listen(NAME)(0, count) == Failure(taken)
        assert IPC(directory).exists(NAME) == Success(True)
        assert IPC(directory).listen(NAME)(0, count) == Failure(taken)  # looking did not let the lock go
        stopped_by_hand(directory)
        assert serving.result(PATIENCE) == Success(0)
    assert IPC(directory).listen(NAME, 0.01)(7, count) == Success(7)


def test_a_name_is_one_however_its_directory_is_spelled(directory: Path) -> None:
    (directory / "real").mkdir(0o700)
    (directory / "alias").symlink_to(directory)
    real, alias = IPC(directory / "real"), IPC(directory / "alias" / "real")
    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(real.listen(NAME), 0, count)
        real.wait(NAME, PATIENCE).unwrap().close()
        for _ in range(2):  # nor does looking through the other spelling let the lock go
            assert alias.processes() == Success(frozenset({NAME}))
            assert alias.listen(NAME)(0, count).failure() == NameTaken(NAME, directory / "alias" / "real" / "server.sock", os.getpid())
        stopped_by_hand(directory / "real")
        assert serving.result(PATIENCE) == Success(0)


def test_of_many_threads_that_start_at_once_one_runs(directory: Path) -> None:
    for number in range(20):
        name = Name(f"round-{number}")
        barrier = threading.Barrier(4)

        def race(name: Name = name, barrier: threading.Barrier = barrier) -> object:
            barrier.wait(PATIENCE)
            return IPC(directory).listen(name, 1.0)(0, count)

        with ThreadPoolExecutor(4) as pool:
            racing = [pool.submit(race) for _ in range(4)]
            process = IPC(directory).wait(name, PATIENCE).unwrap()
            process.send(Message.text("stop")).unwrap()
            process.wait()
            results = [each.result(PATIENCE) for each in racing]
        # A racer may start after the first one has ended; whoever ran while another did was told so.
        assert results.count(Success(0)) >= 1
        assert all(result in (Success(0), Failure(NameTaken(name, directory / f"{name}.sock", os.getpid()))) for result in results)


def test_a_server_can_be_called_again(directory: Path) -> None:
    server = IPC(directory).listen(NAME, 0.01)
    assert [server(number, count) for number in range(3)] == [Success(0), Success(1), Success(2)]


def test_whom_the_server_does_not_trust_is_refused(directory: Path) -> None:
    refused, opened = list[Peer](), threading.Event()

    def trust(peer: Peer) -> bool:
        if not opened.is_set():
            refused.append(peer)
            raise PermissionError  # whom it cannot judge it does not trust
        return True

    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(IPC(directory, trust=trust).listen(NAME), 0, count)
        while not refused:
            waited = IPC(directory).wait(NAME, 0.01).failure()
            assert waited in (TimedOut(NAME, 0.01, "the server"), ConnectionRefused(NAME))
        assert IPC(directory).get(NAME) == Failure(ConnectionRefused(NAME))
        with Wire.to(directory) as client:
            assert client.ended()  # not even greeted
        assert {(peer.pid, peer.uid, peer.gid) for peer in refused} == {(os.getpid(), os.geteuid(), os.getegid())}
        opened.set()
        stopped_by_hand(directory)
        assert serving.result(PATIENCE) == Success(0)


class Riddle:
    def __bool__(self) -> bool:
        raise LookupError


async def later(_: Peer) -> bool:
    return True


def exits(_: Peer) -> bool:
    raise SystemExit(3)


@pytest.mark.filterwarnings("ignore:coroutine 'later' was never awaited:RuntimeWarning")
@pytest.mark.parametrize(
    "no", [later, exits, lambda _: Riddle(), lambda _: 1, lambda: True], ids=["async", "exits", "riddle", "1", "no peer"]
)
def test_trust_is_said_and_nothing_else_is(directory: Path, no: Trust) -> None:
    opened = threading.Event()
    ipc = IPC(directory, trust=lambda peer: no(peer) if not opened.is_set() else True)
    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(ipc.listen(NAME), 0, count)
        while not (directory / "server.sock").exists():
            pass
        assert IPC(directory).get(NAME) == Failure(ConnectionRefused(NAME))
        opened.set()
        assert IPC(directory, trust=no).get(NAME) == Failure(PeerUntrusted(NAME, Peer(0, os.getpid(), os.geteuid(), os.getegid())))
        stopped_by_hand(directory)
        assert serving.result(PATIENCE) == Success(0)


def test_a_file_that_is_no_socket_is_not_replaced(directory: Path) -> None:
    (directory / "server.sock").write_text("precious")
    error = IPC(directory).listen(NAME)(0, count).failure()
    assert isinstance(error, SystemFailure)
    assert "no socket" in str(error)
    assert (directory / "server.sock").read_text() == "precious"
    assert [path.name for path in directory.iterdir()] == ["server.sock"]


def test_a_socket_that_another_put_in_its_place_is_not_removed(directory: Path) -> None:
    with ThreadPoolExecutor(1) as pool, socket.socket(socket.AF_UNIX) as usurper:
        serving = pool.submit(IPC(directory).listen(NAME), 0, count)
        process = IPC(directory).wait(NAME, PATIENCE).unwrap()
        (directory / "server.sock").unlink()
        usurper.bind(str(directory / "server.sock"))
        process.send(Message.text("stop")).unwrap()
        process.wait()
        assert serving.result(PATIENCE) == Success(0)
        assert (directory / "server.sock").exists()


def test_a_lock_file_that_another_put_in_its_place_is_not_removed(directory: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(IPC(directory).listen(NAME), 0, count)
        IPC(directory).wait(NAME, PATIENCE).unwrap().close()
        (directory / "server.lock").unlink()
        (directory / "server.lock").write_text("another's")
        stopped_by_hand(directory)
        assert serving.result(PATIENCE) == Success(0)
    assert (directory / "server.lock").read_text() == "another's"


def test_what_was_left_half_published_is_taken_over(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as half:
        half.bind(str(directory / "server.bind"))
    (directory / "server.lock").touch(0o600)
    assert IPC(directory).listen(NAME, 0.01)(0, count) == Success(0)
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("timeout", [1e12, float("inf")])
def test_a_timeout_may_be_longer_than_any_system_call_takes(directory: Path, timeout: float) -> None:
    ipc = IPC(directory, heartbeat=timeout)
    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(ipc.listen(NAME, timeout), 0, count)
        with ipc.wait(NAME, timeout).unwrap() as process:
            assert process.ask(Message.text("ping"), timeout) == Success(Message.text("ping"))
            process.send(Message.text("stop")).unwrap()
            assert isinstance(process.wait(timeout).failure(), ConnectionClosed)
        assert serving.result(PATIENCE) == Success(1)


def test_the_wakeup_descriptor_is_put_back(directory: Path) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write)
    try:
        assert IPC(directory).listen(NAME, 0.01)(0, count) == Success(0)
    finally:
        assert signal.set_wakeup_fd(before) == write
        os.close(read)
        os.close(write)


def test_arguments_of_another_type_are_mistakes(directory: Path) -> None:
    ipc = IPC(directory)
    for use in (lambda: ipc.get("../name"), lambda: ipc.listen("../name")(0, count), lambda: ipc.exists("name")):  # type: ignore[arg-type]  # what this test is about
        with pytest.raises(TypeError, match="Name"):
            use()
    with pytest.raises(TypeError, match="handler"):
        ipc.listen(NAME)(count, 0)  # type: ignore[arg-type]  # as above


def test_every_file_is_closed_at_the_end(directory: Path) -> None:
    before = set(os.listdir("/dev/fd"))
    for _ in range(3):
        assert IPC(directory).listen(NAME, 0.01)(0, count) == Success(0)
    assert len(os.listdir("/dev/fd")) == len(before)


def test_without_a_thread_to_write_meanwhile_it_writes_before(directory: Path) -> None:
    first, heard = Message.text("first"), threading.Event()

    def answer(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        if message == first:
            return continuation.respond(carry + 1, message)
        return continuation.stop(carry + 1) if heard.wait(PATIENCE) else continuation.stop(-1)

    def converse() -> None:
        IPC(directory).wait(NAME, PATIENCE).unwrap().close().unwrap()
        with Wire.talking(directory) as client:
            client.write("first", "second")  # both are there when the first one is folded
            assert client.read(2) == f"{RECEIVED},first"
            heard.set()
            client.read(2)
            client.write(CLOSE_OK)

    with ThreadPoolExecutor(1) as pool:
        conversing = pool.submit(converse)
        before = threading.stack_size(2**47)  # more than there is: no thread can start from now on
        try:
            assert IPC(directory).listen(NAME)(0, answer) == Success(2)
        finally:
            threading.stack_size(before)
        conversing.result()
