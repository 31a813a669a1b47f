"""Servers in processes of their own, and what else the tests of shells need of the system."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TypedDict

from returns.result import Result

from ipcfold import IPC, Message, Name, Process, SendError
from ipcfold.accelerator import accelerated, fast
from tests.environment import PLAIN, ROOT

SignalHandler = signal.Handlers | Callable[[int, FrameType | None], object]

PATIENCE = 300.0  # seconds until a test gives up on something that must come: only a hang takes so long, however busy the machine is

NAME = Name("server")
PING, PONG = Message.text("ping"), Message.text("pong")
SERVE = "tests.shells.serve"


@contextmanager
def descriptors(limit: int) -> Iterator[None]:
    """So many numbers of open files for this process, of which shells allow 1,024 (or, on macOS, 256) unless they are asked for more."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


class Printed(TypedDict, total=False):
    """What a server process prints at its end: the carry or the error, and the log if there is any."""

    carry: list[str]
    error: str
    text: str
    pid: int
    log: list[str]


class ServerProcess:
    """A server process, which may not be up yet."""

    def __init__(self, directory: Path, *options: str, name: Name = NAME, program: str = SERVE, heard: bool = False) -> None:
        """With `heard` the records of its log can be waited for. Arguments of the program follow its name."""
        self._again = partial(ServerProcess, directory, name=name, program=program)
        command = [sys.executable, "-m", *program.split(), str(directory), str(name), *options]
        heard_at = subprocess.PIPE if heard else None
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=heard_at, text=True, cwd=ROOT)

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def record(self) -> str:
        """The next record of its log: level and text."""
        assert self.process.stderr is not None
        return self.process.stderr.readline().removesuffix("\n")

    def records(self) -> list[str]:
        """All further records, until it ends."""
        assert self.process.stderr is not None
        return self.process.stderr.read().splitlines()

    def result(self) -> Printed:
        """What it printed for itself at its end; a child that it forked may have printed, too."""
        output, _ = self.process.communicate(timeout=PATIENCE)
        for line in output.splitlines():
            text, _, pid = line.rpartition(" ")
            if int(pid) == self.pid:
                result: Printed = json.loads(text)
                return result
        raise AssertionError(f"the server printed {output!r} and ended with {self.process.returncode}")

    def carry(self) -> list[str]:
        """The log it returned."""
        result = self.result()
        assert "error" not in result, result
        return result["carry"]

    def stop(self) -> list[str]:
        """End it from outside; the log it returned."""
        self.signal(signal.SIGTERM)
        return self.carry()

    def result_of_stop(self) -> Printed:
        """End it from outside; all that it printed."""
        self.signal(signal.SIGTERM)
        return self.result()

    def expect_name_taken(self) -> None:
        """A second server is told that this one has the name."""
        result = self._again().result()
        assert (result["error"], result["pid"]) == ("NameTaken", self.pid)

    def peak_memory(self) -> int:
        return memory(self.pid, "VmHWM")


@contextmanager
def running(directory: Path, *options: str, name: Name = NAME, program: str = SERVE, heard: bool = False) -> Iterator[ServerProcess]:
    """A server process that is up, and is killed in the end if it still runs."""
    server = ServerProcess(directory, *options, name=name, program=program, heard=heard)
    try:
        IPC(directory).wait(name, PATIENCE).unwrap().close()
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def memory(pid: int, kind: str) -> int:
    """How many bytes the kernel tells of a process under this name."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(kind))) * 1024


def peak_memory_since() -> Callable[[], int]:
    """How many more bytes than now this process has had at most, whenever that is called."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is the present from now on
    before = memory(os.getpid(), "VmRSS")
    return lambda: memory(os.getpid(), "VmHWM") - before


@contextmanager
def handled(number: signal.Signals, handler: SignalHandler) -> Iterator[None]:
    """The signal does this meanwhile, and afterwards what it did before; nobody else changes that."""
    before = signal.signal(number, handler)
    try:
        yield
        assert signal.getsignal(number) == handler
    finally:
        signal.signal(number, before)


@contextmanager
def wakeup_descriptor() -> Iterator[None]:
    """Signals wake a pipe meanwhile; nobody else changes that."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write)
    try:
        yield
    finally:
        assert signal.set_wakeup_fd(before) == write
        os.close(read)
        os.close(write)


@contextmanager
def signals_every(seconds: float, handler: SignalHandler) -> Iterator[None]:
    """A SIGUSR1 to this process every so many seconds. (Not an alarm: that is how tests are timed.)"""

    def send() -> None:
        while not over.wait(seconds):
            os.kill(os.getpid(), signal.SIGUSR1)

    over = threading.Event()
    with handled(signal.SIGUSR1, handler), ThreadPoolExecutor(1) as pool:
        pool.submit(send)
        try:
            yield
        finally:
            over.set()


@contextmanager
def beside(run: Callable[[], object]) -> Iterator[None]:
    """Run it in a thread meanwhile; its failure is the test's."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run)
        yield
        future.result(PATIENCE)


def sent(directory: Path, *contents: str) -> Result[Process, SendError]:
    """What became of these messages, sent on one connection as soon as the server is up."""
    with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
        return process.send(*map(Message.text, contents))


def leave_socket(path: Path) -> None:
    """A socket that nobody listens at, as a dead server leaves it."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))


def fifo(directory: Path) -> Path:
    path = directory / "fifo"
    os.mkfifo(path)
    return path


def in_python() -> None:
    """Do without the accelerator from now on, in this process: code in C has no lines at which something could happen."""
    if accelerated:
        fast.enable(False)


def python(
    *arguments: str | Path, cwd: Path = ROOT, environment: Mapping[str, str] = PLAIN, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """What Python wrote with these arguments, and its exit status; with `check`, it must be a good one."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done
