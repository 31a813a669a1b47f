"""Forked children for the tests, which may be another user, or have the pid of a dead process, or get a signal at a chosen step.

They are forked rather than started, since the interpreter and the sources may lie where other users cannot read. A signal
is a real one: a tracer counts the lines of the library, and just before the chosen one the child sends it to itself.
"""

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic
from types import FrameType, TracebackType
from typing import NoReturn, Self

import attrs
import pytest

from ipcfold import IPC, Limits, blocking, local
from ipcfold import log as logs
from ipcfold.local.credentials import same_user
from ipcfold.local.log import logger
from ipcfold.peer import Trust
from tests.shells import forks
from tests.shells.handlers import EMPTY, log
from tests.shells.serve import Records
from tests.shells.support import NAME, PATIENCE

NOBODY = 65534

SHELL = tuple(f"{path}{os.sep}" for package in (local, blocking, logs) for path in package.__path__)
"""The folders of the code that works with sockets and files."""
_FAILED = 70  # the exit code of a child whose work raised

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def anybody(_: object) -> bool:
    return True


@attrs.frozen
class Fault:
    """A signal to oneself: just before the line of that number, of all that are run in `SHELL`, or on entering a function there.

    Lines are counted from the first call of the function `after`, if one is named, and until `until` returns.
    """

    signal: signal.Signals
    line: int = 0
    entering: str = ""
    after: str = ""
    until: str = ""


class Channel:
    """One end of a line between a test and its child: a text at a time."""

    def __init__(self, stream: socket.socket) -> None:
        stream.settimeout(PATIENCE)
        self._stream = stream
        self._reading = stream.makefile("r")

    def say(self, text: str) -> None:
        self._stream.sendall(f"{text}\n".encode())

    def hear(self) -> str:
        """What the other end says next; empty once it is gone."""
        return self._reading.readline().removesuffix("\n")

    def rest(self) -> str:
        """All that the other end still says, once it is gone."""
        return self._reading.read().removesuffix("\n")

    def close(self) -> None:
        self._reading.close()
        self._stream.close()


class Child(AbstractContextManager["Child"]):
    """A forked process that does one piece of work and says last what that returned; the end of its `with` block kills it."""

    def __init__(
        self,
        work: Callable[..., object],
        fault: Fault | None = None,
        *,
        user: int | None = None,
        group: int | None = None,
        pid: int | None = None,
        descriptors: Sequence[int] = (),
    ) -> None:
        """The work gets its end of the line, then its numbers of the descriptors. With `pid`, only a process of that pid does it."""
        here, there = socket.socketpair()
        with there:
            identity = (user, group if group is not None else user)
            self.pid = forks.fork(partial(_live, work, fault, identity, pid), [there.fileno(), *descriptors], pid=pid)
        self._line = Channel(here)
        self._code: int | None = None

    def say(self, text: str) -> None:
        self._line.say(text)

    def hear(self) -> str:
        """What it says next; its failure is the test's, and so is its reason to skip."""
        text = self._line.hear()
        if text.startswith("skipped: "):
            pytest.skip(text.removeprefix("skipped: "))
        assert not text.startswith("failed: "), f"{text}\n{self._line.rest()}"
        return text

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def stop(self) -> str:
        """End the server in it from outside; what it says then."""
        self.signal(signal.SIGTERM)
        return self.hear()

    def paused(self) -> bool:
        """Wait until it pauses; false if it ends instead."""
        status = forks.wait(self.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self._code = os.waitstatus_to_exitcode(status)
        return self._code is None

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def gone(self) -> int:
        """Wait for its end, after which its pid is free: the exit code, or the negative number of the signal that killed it."""
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(forks.wait(self.pid))
        return self._code

    def ended(self) -> tuple[int, str]:
        """Wait for its end: the exit code, and what it still had to say."""
        return self.gone(), self._line.rest()

    def result(self) -> str:
        """Wait for its end, which must be a good one: what its work returned, as text."""
        code, said = self.ended()
        assert code == 0, f"a child ended with {code} ({-signal.SIGALRM}: it ran out of patience) and said: {said}"
        return said.rpartition("\n")[2]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._code is None:
            with suppress(ProcessLookupError, ChildProcessError):  # which must not hide why this is left
                self.signal(signal.SIGKILL)
                self.gone()
        self._line.close()


@contextmanager
def released_at_once(number: int, work: Callable[[], object]) -> Iterator[list[Child]]:
    """So many children that do the same work, all from the same moment on."""
    gate, release = os.pipe()

    def wait_then_work(line: Channel, gate: int) -> object:
        line.say("ready")
        os.read(gate, 1)  # nobody writes: it ends once the other end is closed
        return work()

    with ExitStack() as stack:
        stack.callback(os.close, gate)
        children = [stack.enter_context(Child(wait_then_work, descriptors=[gate])) for _ in range(number)]
        assert [child.hear() for child in children] == ["ready"] * number
        os.close(release)
        yield children


def as_nobody(work: Callable[[], object]) -> str:
    """The text of what the work returns when nobody does it."""
    with Child(lambda _: work(), user=NOBODY) as child:
        return child.hear()


def serving_the_log(directory: Path, trust: Trust = same_user, limits: Limits | None = None) -> Callable[[Channel], object]:
    """The work of a server of the log, which says each record of its own log at once and the result in the end."""

    def work(line: Channel) -> object:
        logger().addHandler(Records(line.say))
        ipc = IPC(directory, heartbeat=0.05, limits=limits or Limits(), trust=trust)
        return ipc.listen(NAME)(EMPTY, log)

    return work


def need_pids() -> None:
    """Skip the test where a pid cannot be chosen."""
    try:
        forks.LAST_PID.write_text(forks.LAST_PID.read_text())
    except OSError as error:
        pytest.skip(f"a pid cannot be had again at will: {error}")


@contextmanager
def reborn(pid: int, work: Callable[[Channel], object]) -> Iterator[Child]:
    """A child with the pid of a process that is gone."""
    deadline = monotonic() + PATIENCE / 2
    while monotonic() < deadline:
        with Child(work, pid=pid) as child:
            if child.pid == pid:
                yield child
                return
    pytest.skip(f"another process keeps the pid {pid}")


class _Tracer:
    """Carries a fault out; says where."""

    def __init__(self, fault: Fault, say: Callable[[str], None]) -> None:
        self._fault = fault
        self._say = say
        self._lines = 0
        self._counting = not fault.after

    def __call__(self, frame: FrameType, event: str, _: object) -> Self | None:
        code = frame.f_code
        if not code.co_filename.startswith(SHELL):
            return None
        if event in ("call", "return") and code.co_name == (self._fault.after if event == "call" else self._fault.until):
            self._counting = event == "call"
        struck = False
        if event == "line" and self._counting:
            self._lines += 1
            struck = self._lines == self._fault.line
        if struck or (event == "call" and code.co_name == self._fault.entering):
            self._say(f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_name}")
            os.kill(os.getpid(), self._fault.signal)
        return self


def _live(
    work: Callable[..., object],
    fault: Fault | None,
    identity: tuple[int | None, int | None],
    pid: int | None,
    stream: int,
    *descriptors: int,
) -> NoReturn:
    if pid not in (None, os.getpid()):  # somebody was quicker; whoever forked it sees that, too
        os._exit(0)
    code = _FAILED
    signal.alarm(round(2 * PATIENCE))  # should the test that would end it be gone
    line = Channel(socket.socket(fileno=stream))
    user, group = identity
    try:
        if user is not None and group is not None:
            os.setgroups([])
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)
        sys.settrace(_Tracer(fault, line.say) if fault is not None else None)
        result = work(line, *descriptors)
        sys.settrace(None)
        line.say(str(result))
        code = 0
    except pytest.skip.Exception as skipped:
        line.say(f"skipped: {skipped}")
    except BaseException as error:  # noqa: BLE001 - whatever it is, it must not get out into the test's own frames
        sys.settrace(None)
        line.say(f"failed: {error!r}\n{traceback.format_exc()}")
    finally:
        os._exit(code)
