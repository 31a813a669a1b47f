"""Forks for the tests, from a small process that was started for it.

The process that runs the tests has threads and has grown: forking it costs milliseconds, and a lock that another
thread holds stays locked in the child. So a second process, which is small and has one thread, forks for it, and
waits for what it forked. In that process and in its children, `fork` and `wait` are the system's own.
"""

import atexit
import os
import pickle
import pkgutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from pathlib import Path
from typing import Final, NoReturn

import attrs
import cloudpickle

from ipcfold import blocking, local, log

Work = Callable[..., NoReturn]
"""What a child does: it gets its own numbers of the descriptors that were passed, and ends its process."""

_ROOT: Final = Path(__file__).parents[2]
LAST_PID: Final = Path("/proc/sys/kernel/ns_last_pid")  # the next process gets the next free pid after this one


def fork(work: Work, descriptors: Sequence[int] = (), *, pid: int | None = None) -> int:
    """Start a child that does this work; its pid, which is the wanted one unless another process has it."""
    if _here:
        return _forked(work, list(map(os.dup, descriptors)), pid)
    child = _server().ask(_Fork(cloudpickle.dumps(work), len(descriptors), pid), descriptors)
    assert isinstance(child, int)
    return child


def wait(pid: int, options: int = 0) -> int:
    """Wait for a child as `os.waitpid` does; the status."""
    if _here:
        return os.waitpid(pid, options)[1]
    status = _server().ask(_Wait(pid, options))
    assert isinstance(status, int)
    return status


@attrs.frozen
class _Fork:
    work: bytes
    descriptors: int
    pid: int | None


@attrs.frozen
class _Wait:
    pid: int
    options: int


class _Server:
    """The small process, as the process that runs the tests sees it."""

    def __init__(self) -> None:
        here, there = socket.socketpair()
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.shells.forks", str(there.fileno())],
                cwd=_ROOT,
                pass_fds=[there.fileno()],
                process_group=0,  # so that Ctrl-C in a terminal is for the tests alone
            )
        self._stream = Connection(here.detach())
        self._lock = threading.Lock()
        atexit.register(self._end)

    def ask(self, request: _Fork | _Wait, descriptors: Sequence[int] = ()) -> object:
        with self._lock:
            self._stream.send(request)
            for descriptor in descriptors:
                send_handle(self._stream, descriptor, self._process.pid)
            answer = self._stream.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _end(self) -> None:
        self._stream.close()
        self._process.wait()


@cache
def _server() -> _Server:
    return _Server()


_here = False  # whether this is the small process, or a child of it


def _forked(work: Work, descriptors: list[int], pid: int | None) -> int:
    if pid is not None:
        LAST_PID.write_text(str(pid - 1))
    child = os.fork()
    if child == 0:
        try:
            work(*descriptors)
        finally:
            os._exit(1)  # the work ends the process itself, so this is one that failed to
    for descriptor in descriptors:
        os.close(descriptor)
    return child


def _answer(stream: Connection, request: _Fork | _Wait) -> object:
    try:
        match request:
            case _Fork(work, count, pid):
                descriptors = [recv_handle(stream) for _ in range(count)]
                return _forked(pickle.loads(work), descriptors, pid)  # noqa: S301 - it is from the tests
            case _Wait(pid, options):
                return os.waitpid(pid, options)[1]
    except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
        return error


def main(descriptor: int) -> None:
    """Do what is asked for until the other end is gone."""
    global _here  # noqa: PLW0603 - what `fork` does depends on the process, and so does this
    _here = True
    for package in (local, blocking, log):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            import_module(module.name)  # so that a child runs the same lines whichever came before it
    stream = Connection(descriptor)
    while True:
        try:
            request = stream.recv()
        except EOFError:
            return
        stream.send(_answer(stream, request))


if __name__ == "__main__":
    # Not this module's own `main`: the requests, and the work in them, are of the module of that name.
    import_module("tests.shells.forks").main(int(sys.argv[1]))
