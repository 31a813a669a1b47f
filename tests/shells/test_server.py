"""What concerns the process that a blocking server runs in: its signals, its threads, its files."""

import _thread
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from returns.result import Failure, Success

from ipcfold import IPC, Continuation, Message, Name, Peer
from ipcfold.errors import ConnectionClosed, ConnectionRefused, NameTaken, PeerUntrusted, SystemFailure, TimedOut
from ipcfold.peer import Trust
from ipcfold.testing.plugin import Serve, serving
from tests.shells.support import NAME, PATIENCE, PING, SignalHandler, beside, handled, leave_socket, sent, wakeup_descriptor
from tests.shells.wire import CLOSE, CLOSE_OK, RECEIVED, Wire


def count(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    if message.content == b"stop":
        return continuation.stop(carry)
    return continuation.respond(carry + 1, message)


@pytest.mark.parametrize("signals", [None, [signal.SIGUSR1]], ids=["default", "chosen"])
@pytest.mark.parametrize("own", [signal.default_int_handler, signal.SIG_IGN, lambda _, __: None], ids=["Python's", "ignored", "another"])
def test_a_server_puts_previous_signal_handlers_back(directory: Path, own: SignalHandler, signals: list[signal.Signals] | None) -> None:
    watched = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1]
    during = list[object]()

    def look(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        during.extend(signal.getsignal(number) for number in watched)
        os.kill(os.getpid(), watched[-1] if signals else watched[0])
        return continuation.continue_(carry + 1)

    listen = IPC(directory).listen(NAME, signals=signals) if signals else IPC(directory).listen(NAME)
    with handled(signal.SIGINT, own), beside(lambda: sent(directory, "look").unwrap()):
        before = [signal.getsignal(number) for number in watched]
        assert listen(0, look) == Success(1)  # the message at the handler is folded; then the signal ends it
        assert [signal.getsignal(number) for number in watched] == before
    changed = [now != then for now, then in zip(during, before, strict=True)]
    pythons = own is signal.default_int_handler  # which would raise in the midst of things
    assert changed == ([False, pythons, False, True] if signals else [True, own is not signal.SIG_IGN, True, False])


def test_a_keyboard_interrupt_by_python_s_own_handler_keeps_the_carry(directory: Path) -> None:
    def interrupt() -> None:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            process.send(Message.text("one")).unwrap()
            os.kill(os.getpid(), signal.SIGINT)
            process.wait()
            process.wait()

    with beside(interrupt):
        assert IPC(directory).listen(NAME, signals=())(0, count) == Success(1)


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

    def converse() -> None:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            process.send(Message.text("one")).unwrap()
            process.send(Message.text("stop"))
            assert process.close() == Success(None)

    with handled(signal.SIGINT, signal.default_int_handler), beside(converse):
        assert IPC(directory).listen(NAME, signals=signals)(0, catch) == Success(1)
    # The first one asks for the end; where it is Python's, each interrupts, and caught ones ask for nothing.
    assert caught == ([1, 2, 3] if signals else [0, 1, 2, 3] * 2)


def test_a_server_in_another_thread_changes_no_signal_handler(serve: Serve) -> None:
    before = signal.getsignal(signal.SIGTERM)
    server = serve(count, 0)
    process = server.connect()
    assert signal.getsignal(signal.SIGTERM) is before
    assert process.ask(PING) == Success(PING)
    assert process.close() == Success(None)
    assert server.stop() == Success(1)


def test_threads_of_one_process_exclude_each_other(directory: Path, serve: Serve) -> None:
    server = serve(count, 0)
    taken = NameTaken(NAME, directory / "server.sock", os.getpid())
    assert IPC(directory).listen(NAME)(0, count) == Failure(taken)
    assert IPC(directory).exists(NAME) == Success(True)
    assert IPC(directory).listen(NAME)(0, count) == Failure(taken)  # looking did not let the lock go
    assert server.stop() == Success(0)
    assert IPC(directory).listen(NAME, 0.01)(7, count) == Success(7)


def test_a_name_is_one_however_its_directory_is_spelled(directory: Path) -> None:
    (directory / "real").mkdir(0o700)
    (directory / "alias").symlink_to(directory)
    alias = IPC(directory / "alias" / "real")
    with serving(IPC(directory / "real")) as serve:
        server = serve(count, 0)
        for _ in range(2):  # nor does looking through the other spelling let the lock go
            assert alias.processes() == Success(frozenset({NAME}))
            assert alias.listen(NAME)(0, count).failure() == NameTaken(NAME, directory / "alias" / "real" / "server.sock", os.getpid())
        assert server.stop() == Success(0)


def test_one_of_many_threads_that_start_at_once_gets_the_name(directory: Path) -> None:
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


def test_a_server_refuses_a_client_that_it_does_not_trust(directory: Path) -> None:
    refused, opened = list[Peer](), threading.Event()

    def trust(peer: Peer) -> bool:
        if not opened.is_set():
            refused.append(peer)
            raise PermissionError  # whom it cannot judge it does not trust
        return True

    with serving(IPC(directory, trust=trust)) as serve:
        server = serve(count, 0)
        assert IPC(directory).wait(NAME, 0.01).failure() in (TimedOut(NAME, 0.01, "the server"), ConnectionRefused(NAME))
        assert IPC(directory).get(NAME) == Failure(ConnectionRefused(NAME))
        with Wire.to(directory) as client:
            client.expect_end()  # not even greeted
        assert {(peer.pid, peer.uid, peer.gid) for peer in refused} == {(os.getpid(), os.geteuid(), os.getegid())}
        opened.set()
        assert server.connect().close() == Success(None)


class WithoutTruth:
    def __bool__(self) -> bool:
        raise LookupError


async def later(_: Peer) -> bool:
    return True


def exits(_: Peer) -> bool:
    raise SystemExit(3)


@pytest.mark.filterwarnings("ignore:coroutine 'later' was never awaited:RuntimeWarning")
@pytest.mark.parametrize(
    "no", [later, exits, lambda _: WithoutTruth(), lambda _: 1, lambda: True], ids=["async", "exits", "without truth", "1", "no peer"]
)
def test_only_true_from_the_trust_function_is_trust(directory: Path, no: Trust) -> None:
    opened = threading.Event()
    with serving(IPC(directory, trust=lambda peer: opened.is_set() or no(peer))) as serve:
        server = serve(count, 0)
        assert IPC(directory).get(NAME) == Failure(ConnectionRefused(NAME))
        assert IPC(directory, trust=no).get(NAME) == Failure(PeerUntrusted(NAME, Peer(0, os.getpid(), os.geteuid(), os.getegid())))
        opened.set()
        assert server.connect().close() == Success(None)


def test_a_file_that_is_no_socket_is_not_replaced(directory: Path) -> None:
    (directory / "server.sock").write_text("precious")
    error = IPC(directory).listen(NAME)(0, count).failure()
    assert isinstance(error, SystemFailure)
    assert "no socket" in str(error)
    assert (directory / "server.sock").read_text() == "precious"
    assert [path.name for path in directory.iterdir()] == ["server.sock"]


def test_a_socket_that_another_put_in_its_place_is_not_removed(directory: Path, serve: Serve) -> None:
    server = serve(count, 0)
    (directory / "server.sock").unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(directory / "server.sock"))
        assert server.stop() == Success(0)
        assert (directory / "server.sock").exists()


def test_a_lock_file_that_another_put_in_its_place_is_not_removed(directory: Path, serve: Serve) -> None:
    server = serve(count, 0)
    (directory / "server.lock").unlink()
    (directory / "server.lock").write_text("another's")
    assert server.stop() == Success(0)
    assert (directory / "server.lock").read_text() == "another's"


def test_a_server_takes_over_a_socket_that_was_left_half_published(directory: Path) -> None:
    leave_socket(directory / "server.bind")
    (directory / "server.lock").touch(0o600)
    assert IPC(directory).listen(NAME, 0.01)(0, count) == Success(0)
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("timeout", [1e12, float("inf")])
def test_a_timeout_may_be_longer_than_any_system_call_takes(directory: Path, timeout: float) -> None:
    ipc = IPC(directory, heartbeat=timeout)
    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(ipc.listen(NAME, timeout), 0, count)
        with ipc.wait(NAME, timeout).unwrap() as process:
            assert process.ask(PING, timeout) == Success(PING)
            process.send(Message.text("stop")).unwrap()
            assert isinstance(process.wait(timeout).failure(), ConnectionClosed)
        assert serving.result(PATIENCE) == Success(1)


def test_a_server_puts_the_wakeup_descriptor_back(directory: Path) -> None:
    with wakeup_descriptor():
        assert IPC(directory).listen(NAME, 0.01)(0, count) == Success(0)


def test_an_argument_of_another_type_raises(directory: Path) -> None:
    ipc = IPC(directory)
    for use in (lambda: ipc.get("../name"), lambda: ipc.listen("../name")(0, count), lambda: ipc.exists("name")):  # type: ignore[arg-type]  # what this test is about
        with pytest.raises(TypeError, match="Name"):
            use()
    with pytest.raises(TypeError, match="handler"):
        ipc.listen(NAME)(count, 0)  # type: ignore[arg-type]  # as above


def test_a_server_closes_every_file_at_its_end(directory: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        assert IPC(directory).listen(NAME, 0.01)(0, count) == Success(0)
    assert len(os.listdir("/dev/fd")) == before


@contextmanager
def no_thread_starts() -> Iterator[None]:
    before = threading.stack_size(2**47)  # more than there is
    try:
        yield
    finally:
        threading.stack_size(before)


@contextmanager
def no_thread_begins() -> Iterator[None]:
    """A thread that runs out of memory ends before it begins."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_thread, "start_new_thread", lambda run, arguments: 0)  # noqa: ARG005 - as the system calls them
        yield


@pytest.mark.parametrize("without", [no_thread_starts, no_thread_begins])
def test_a_server_without_threads_writes_before_it_calls_the_handler(
    directory: Path, without: Callable[[], AbstractContextManager[None]]
) -> None:
    first, heard = Message.text("first"), threading.Event()

    def answer(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        if message == first:
            return continuation.respond(carry + 1, message)
        return continuation.stop(carry + 1) if heard.wait(PATIENCE) else continuation.stop(-1)

    def converse() -> None:
        IPC(directory).wait(NAME, PATIENCE).unwrap().close().unwrap()
        with Wire.talking(directory) as client:
            client.write("first", "second").expect(RECEIVED, "first")  # both are there when the first one is folded
            heard.set()
            client.expect(RECEIVED, CLOSE).write(CLOSE_OK)

    with beside(converse), without():
        assert IPC(directory).listen(NAME)(0, answer) == Success(2)
