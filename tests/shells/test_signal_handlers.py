"""Which signals a server takes, which it leaves alone, and what it passes on."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from returns.result import Success

from ipcfold import IPC, Continuation, Message
from ipcfold.events import Disconnected, Event
from tests.environment import ROOT
from tests.shells.children import Child
from tests.shells.handlers import EMPTY, log
from tests.shells.support import NAME, PATIENCE, PING, PONG, python

STOP = Message.text("stop")


def converse(directory: Path, *between: object) -> None:
    """Ping, and then end the server."""
    with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
        assert process.ask(PING) == Success(PONG)
        assert process.send(STOP) == Success(process)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_an_ignored_signal_stays_ignored(directory: Path, number: signal.Signals) -> None:
    def serve(_: object) -> object:
        signal.signal(number, signal.SIG_IGN)
        listen = IPC(directory).listen(NAME, signals=[number])
        return listen(EMPTY, log), signal.getsignal(number) is signal.SIG_IGN

    with Child(serve) as server:
        IPC(directory).wait(NAME, PATIENCE).unwrap().close().unwrap()
        server.signal(number)
        converse(directory)
        assert server.result() == str((Success(("ping", "stop")), True))


def test_ctrl_c_ends_no_server_that_a_shell_started_in_the_background(directory: Path) -> None:
    command = ["sh", "-c", '"$@" & echo $!; wait', "sh", sys.executable, "-m", "tests.shells.serve", str(directory), str(NAME)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as shell:
        assert shell.stdout is not None
        pid = int(shell.stdout.readline())
        IPC(directory).wait(NAME, PATIENCE).unwrap().close().unwrap()
        os.kill(pid, signal.SIGINT)
        converse(directory)
        assert shell.communicate(timeout=PATIENCE)[0] == f'{{"carry": ["ping", "stop"]}} {pid}\n'


@pytest.mark.parametrize("number", [signal.SIGRTMIN, signal.SIGRTMIN + 1, signal.SIGRTMAX], ids=["first", "second", "last"])
def test_a_realtime_signal_ends_a_server(directory: Path, number: int) -> None:
    def serve(_: object) -> object:
        return IPC(directory).listen(NAME, signals=[number])(EMPTY, log)

    with Child(serve) as server, IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
        assert process.ask(PING) == Success(PONG)
        os.kill(server.pid, number)
        assert server.result() == str(Success(("ping",)))


@pytest.mark.parametrize("number", [0, -1, 999, 2**70, signal.SIGKILL, signal.SIGSTOP])
def test_a_number_that_no_handler_can_be_set_for_is_refused(directory: Path, number: int) -> None:
    with pytest.raises(ValueError, match="leave it out of signals"):
        IPC(directory).listen(NAME, signals=[signal.SIGTERM, number])


@pytest.mark.parametrize("number", ["SIGTERM", 1.5, True, None])
def test_a_signal_that_is_no_number_is_refused(directory: Path, number: object) -> None:
    with pytest.raises(TypeError, match="signals are numbers"):
        IPC(directory).listen(NAME, signals=[number])  # type: ignore[list-item]  # what this test is about


# The thread that imports `threading` first counts as the main one, as where a program in another language embeds Python.
OFF_THE_MAIN_THREAD = """
import _thread, sys
sys.path[:0] = sys.argv[2:]
assert "threading" not in sys.modules
def serve():
    try:
        import threading
        assert sys.version_info >= (3, 13) or threading.current_thread() is threading.main_thread()  # 3.13 knows better
        from ipcfold import IPC, Name
        print(IPC(sys.argv[1]).listen(Name("server"), 0.01)(7, lambda message, continuation, carry: continuation), flush=True)
    finally:
        over.release()
over = _thread.allocate_lock()
over.acquire()
_thread.start_new_thread(serve, ())
over.acquire()
"""

IN_A_SUB_INTERPRETER = """
import sys
sys.path[:0] = sys.argv[2:]
try:
    import _interpreters as interpreters
    create = lambda: interpreters.create("legacy")
except ImportError:
    import _xxsubinterpreters as interpreters
    create = lambda: interpreters.create(isolated=False)
interpreters.run_string(create(), f'''
import sys
sys.path[:] = {sys.path!r}
from ipcfold import IPC, Name
print(IPC({sys.argv[1]!r}).listen(Name("server"), 0.01)(7, lambda message, continuation, carry: continuation), flush=True)
''')
"""


@pytest.mark.parametrize("program", [OFF_THE_MAIN_THREAD, IN_A_SUB_INTERPRETER], ids=["off the main thread", "in a sub-interpreter"])
def test_a_server_serves_without_signals_where_it_may_not_have_them(directory: Path, program: str) -> None:
    assert python("-S", "-c", program, directory, *filter(None, sys.path)).stdout == "<Success: 7>\n"


@pytest.mark.parametrize("late", [False, True], ids=["read by the server", "unread at its end"])
def test_a_signal_of_an_event_loop_reaches_it_after_a_server_blocked_it(directory: Path, late: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """And the server's own signals do not."""

    def handler(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        signal.raise_signal(signal.SIGTERM)
        if not late:
            signal.raise_signal(signal.SIGUSR1)
        return continuation.continue_(carry + 1)

    def observe(event: Event) -> None:
        if isinstance(event, Disconnected) and late:
            signal.raise_signal(signal.SIGUSR1)

    async def serve() -> object:
        seen = asyncio.Queue[int]()
        for number in (signal.SIGUSR1, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, seen.put_nowait, int(number))
        carried = IPC(directory, observe=observe).listen(NAME)(0, handler)
        first = await seen.get()
        signal.raise_signal(signal.SIGTERM)  # the loop has it again
        return carried, [first, await seen.get()], seen.qsize()

    with Child(lambda _: asyncio.run(serve())) as server:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            assert process.send(PING) == Success(process)
        assert server.result() == str((Success(1), [int(signal.SIGUSR1), int(signal.SIGTERM)], 0))


def test_a_wakeup_descriptor_that_was_closed_meanwhile_costs_nothing(directory: Path) -> None:
    def serve(_: object) -> object:
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
        signal.signal(signal.SIGUSR1, lambda _, __: None)

        def handler(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
            os.close(write)
            signal.raise_signal(signal.SIGUSR1)
            return continuation.stop(carry + 1)

        carried = IPC(directory).listen(NAME)(0, handler)
        os.close(read)
        return carried, signal.set_wakeup_fd(-1)

    with Child(serve) as server:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            assert process.send(PING) == Success(process)
        assert server.result() == str((Success(1), -1))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_a_signal_handler_of_the_program_that_raises_loses_no_carry(directory: Path, error: type[BaseException]) -> None:
    """It may raise at any step of the server, which then ends at once."""

    def serve(_: object) -> object:
        def strike(_: int, __: object) -> None:
            raise error

        signal.signal(signal.SIGUSR1, strike)
        result = IPC(directory).listen(NAME)(EMPTY, log)
        return result, signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    with Child(serve) as server, IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
        assert process.ask(PING) == Success(PONG)
        server.signal(signal.SIGUSR1)
        assert process.wait().failure()
        assert server.result() == str((Success(("ping",)), True))
    assert list(directory.iterdir()) == []


def test_every_handler_is_restored_where_memory_runs_out_meanwhile(directory: Path) -> None:
    class Handler:
        """A handler that lacks memory once when it is set after the message. The standard library asks each handler for its number."""

        lacks = 0

        def __call__(self, *_: object) -> None:
            """Do nothing."""

        def __int__(self) -> int:
            if Handler.lacks:
                Handler.lacks -= 1
                raise MemoryError
            raise TypeError

    def serve(_: object) -> object:
        numbers = [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2]
        handlers = [Handler() for _ in numbers]
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)

        def stop(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
            Handler.lacks = 1
            return continuation.stop(carry + 1)

        result = IPC(directory).listen(NAME, signals=numbers)(0, stop)
        restored = [signal.getsignal(number) is handler for number, handler in zip(numbers, handlers, strict=True)]
        return result, restored, Handler.lacks, signal.set_wakeup_fd(-1)

    with Child(serve) as server:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            process.send(STOP)
        assert server.result() == str((Success(1), [True, True, True], 0, -1))
