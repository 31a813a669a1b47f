"""A server on a thread of its own is stopped from outside, and gives its result."""

import gc
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from returns.result import Failure, Result, Success

from ipcfold import IPC, Continuation, DirectoryUnusable, HandlerFailed, Message, Name, NameTaken, Peer, TimedOut
from ipcfold.blocking.running import Running
from tests.environment import PLAIN, ROOT
from tests.shells.handlers import EMPTY, Log, log
from tests.shells.support import NAME, PATIENCE, PING, PONG, python


def test_it_listens_when_start_returns_and_ends_when_it_is_stopped(directory: Path) -> None:
    server = IPC(directory).listen(NAME).start(EMPTY, log)
    with IPC(directory).get(NAME).unwrap() as client:
        assert client.ask(PING) == Success(PONG)
        assert server.result(0.0) == Failure(TimedOut(NAME, 0.0, "the end of"))
        server.stop()
        assert isinstance(client.wait(), Failure)
    assert server.result(PATIENCE) == server.result() == Success(("ping",))
    server.stop()
    assert IPC(directory).exists(NAME) == Success(False)
    assert (server.name, server.thread.name) == (NAME, "ipcfold server server")


def test_its_end_as_a_context_manager_stops_it(directory: Path) -> None:
    with IPC(directory).listen(NAME).start(EMPTY, log) as server:
        assert IPC(directory).exists(NAME) == Success(True)
    assert server.result(0.0) == Success(EMPTY)


def test_a_server_that_cannot_serve_says_so_at_once(directory: Path) -> None:
    with IPC(directory).listen(NAME).start(EMPTY, log):
        second = IPC(directory).listen(NAME).start(EMPTY, log)
        assert isinstance(second.result().failure(), NameTaken)
        second.stop()


def taken(directory: Path) -> tuple[IPC, type[object]]:
    return IPC(directory), NameTaken


def forbidden(directory: Path) -> tuple[IPC, type[object]]:
    (directory / "of others").mkdir(mode=0o777)
    (directory / "of others").chmod(0o777)
    return IPC(directory / "of others"), DirectoryUnusable


@pytest.mark.parametrize("way", [taken, forbidden])
def test_a_server_that_cannot_listen_says_why(directory: Path, way: Callable[[Path], tuple[IPC, type[object]]]) -> None:
    ipc, error = way(directory)
    with IPC(directory).listen(NAME).start(EMPTY, log) as other:
        server = ipc.listen(NAME).start(EMPTY, log)
        assert not server.listening
        assert isinstance(server.started.failure(), error)
        assert server.started.failure() is server.result().failure()
        assert repr(server) == f"<Running: the server 'server' has ended with {server.result()}>"
        assert other.listening
        assert other.started.unwrap() is other
        assert repr(other) == "<Running: the server 'server' listens>"
    assert not other.listening
    assert other.started.unwrap() is other


@pytest.mark.parametrize("way", [taken, forbidden])
def test_a_server_that_does_not_listen_warns_where_the_program_begins_to_use_it(
    directory: Path, way: Callable[[Path], tuple[IPC, type[object]]]
) -> None:
    ipc, error = way(directory)
    with IPC(directory).listen(NAME).start(EMPTY, log):
        server = ipc.listen(NAME).start(EMPTY, log)
        with pytest.warns(RuntimeWarning, match="the server 'server' does not listen: ") as warned, server as same:
            assert isinstance(same.result().failure(), error)
        assert str(same.result().failure()) in str(warned[0].message)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del server, same
            gc.collect()


def test_a_failure_that_the_program_never_reads_warns_when_it_drops_the_server(directory: Path) -> None:
    with IPC(directory).listen(NAME).start(EMPTY, log) as server, IPC(directory).get(NAME).unwrap() as client:
        client.send(Message.text("raise"))
    with pytest.warns(RuntimeWarning, match="the server 'server' has ended: the handler failed with"):  # noqa: PT031 - both drop it
        del server
        gc.collect()  # the traceback of the handler has frames that hold the server


@pytest.mark.parametrize("read", [Running.result, lambda server: server.stop() or server.result()])
def test_a_failure_that_the_program_reads_does_not_warn(directory: Path, read: Callable[[Running[Log]], Result[Log, object]]) -> None:
    with IPC(directory).listen(NAME).start(EMPTY, log) as server, IPC(directory).get(NAME).unwrap() as client:
        client.send(Message.text("raise"))
        assert isinstance(read(server).failure(), HandlerFailed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del server
        gc.collect()  # the traceback of the handler has frames that hold the server


def test_a_failure_of_its_handler_is_its_result(directory: Path) -> None:
    with IPC(directory).listen(NAME).start(EMPTY, log) as server, IPC(directory).get(NAME).unwrap() as client:
        client.send(PING)
        client.send(Message.text("raise"))
        failed = server.result().failure()
    assert isinstance(failed, HandlerFailed)
    assert failed.carry == ("ping",)


def test_it_folds_departures_and_alarms(directory: Path) -> None:
    rung = threading.Event()

    def wake(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return continuation.wake((*carry, message.content.decode()), continuation.now)

    def left(_: Peer, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return continuation.continue_((*carry, "left"))

    def woken(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        rung.set()
        return continuation.continue_((*carry, "woken"))

    with IPC(directory).listen(NAME).start(EMPTY, wake, left, woken) as server, IPC(directory).get(NAME).unwrap() as client:
        client.send(PING)
        assert rung.wait(PATIENCE)
    assert server.result() == Success(("ping", "woken", "left"))


def test_its_own_handler_can_stop_it(directory: Path) -> None:
    servers = list[Running[int]]()

    def stop(_: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        servers[0].stop()
        return continuation.respond(carry + 1, PONG)

    with IPC(directory).listen(NAME).start(0, stop) as server, IPC(directory).get(NAME).unwrap() as client:
        servers.append(server)
        assert client.ask(PING) == Success(PONG)
        assert server.result() == Success(1)


def test_a_child_of_the_process_has_no_server(directory: Path) -> None:
    program = f"""
import os
from ipcfold import IPC, Name
with IPC({str(directory)!r}).listen(Name("server")).start(0, lambda message, continuation, carry: continuation) as server:
    if os.fork() == 0:
        server.stop()
        print(type(server.result().failure()).__name__, flush=True)
        os._exit(0)
    os.wait()
    print(IPC({str(directory)!r}).exists(Name("server")), flush=True)
"""
    assert python("-c", program).stdout == "UsedAfterFork\n<Success: True>\n"


def test_it_ends_in_good_order_when_the_interpreter_ends(directory: Path) -> None:
    program = f"""
import sys
from ipcfold import IPC, Name
from ipcfold.events import Stopping
def observe(event):
    if isinstance(event, Stopping):
        print(event.ending.name, flush=True)
IPC({str(directory)!r}, observe=observe).listen(Name("server")).start(0, lambda message, continuation, carry: continuation)
"""
    assert python("-c", program).stdout == "SIGNALLED\n"
    assert not (directory / "server.sock").exists()


def test_servers_that_run_inside_the_handler_of_another_all_end_on_a_signal(directory: Path) -> None:
    program = f"""
from ipcfold import IPC, Message, Name
def outer(message, continuation, carry):
    result = IPC({str(directory)!r}).listen(Name("inner"))(10, lambda message, continuation, carry: continuation)
    return continuation.continue_(carry + result.unwrap())
print(IPC({str(directory)!r}).listen(Name("outer"))(1, outer), flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=PLAIN)
    with IPC(directory).wait(Name("outer"), PATIENCE).unwrap() as client:
        sender = threading.Thread(target=client.send, args=(PING,))
        sender.start()
        with IPC(directory).wait(Name("inner"), PATIENCE).unwrap() as inner:
            process.send_signal(signal.SIGTERM)
            assert isinstance(inner.wait(PATIENCE), Failure)
        sender.join(PATIENCE)
    output, _ = process.communicate(timeout=PATIENCE)
    assert output == "<Success: 11>\n"


@pytest.mark.parametrize("wrong", [None, 3])
def test_a_handler_that_cannot_be_called_is_refused(directory: Path, wrong: object) -> None:
    with pytest.raises(TypeError, match="a handler is wanted"):
        IPC(directory).listen(NAME).start(0, wrong)  # type: ignore[arg-type]  # what this test is about


def test_its_own_handler_does_not_wait_for_its_result(directory: Path) -> None:
    servers, results = list[Running[int]](), list[object]()

    def ask(_: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        results.append(servers[0].result())
        return continuation.stop(carry)

    with IPC(directory).listen(NAME).start(0, ask) as server, IPC(directory).get(NAME).unwrap() as client:
        servers.append(server)
        client.send(PING)
        assert server.result() == Success(0)
    assert results == [Failure(TimedOut(NAME, 0.0, "the end of"))]


def test_a_text_instead_of_a_name_is_refused(directory: Path) -> None:
    with pytest.raises(TypeError, match="a Name is wanted"):
        IPC(directory).listen("server").start(EMPTY, log)  # type: ignore[arg-type]  # what this test is about
