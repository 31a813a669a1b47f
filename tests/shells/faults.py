"""Forked children for the tests of faults, which are killed or pause themselves between two lines of the library.

The faults are real ones: a tracer counts the lines, and just before the chosen one the child sends itself the signal.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, Self

import attrs

from ipcfold import blocking, local
from tests.shells import forks
from tests.shells.support import PATIENCE

Say = Callable[[str], None]

SHELL = tuple(f"{path}{os.sep}" for package in (local, blocking) for path in package.__path__)
"""The folders of the code that works with sockets and files."""
_FAILED = 70  # the exit code of a child whose work raised


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


class Child:
    """A forked process that does one piece of work and says what came of it; killed at the end of its `with` block if it still runs."""

    def __init__(self, work: Callable[..., object], fault: Fault | None = None, descriptors: Sequence[int] = ()) -> None:
        """The work gets a `Say`, then its own numbers of the descriptors."""
        said, say = os.pipe()
        self.pid = forks.fork(partial(_live, work, fault), [say, *descriptors])
        os.close(say)  # so that the pipe ends with the child
        self._said = open(said, encoding="utf-8")  # noqa: SIM115 - `__exit__` closes it
        self._code: int | None = None

    def heard(self) -> str:
        """The next line that it says; waits for it."""
        return self._said.readline().removesuffix("\n")

    def paused(self) -> bool:
        """Wait until it pauses; false if it ends instead."""
        status = forks.wait(self.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self._code = os.waitstatus_to_exitcode(status)
        return self._code is None

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def ended(self) -> tuple[int, str]:
        """Wait for its end: the exit code (the negative number of the signal that killed it), and what it still had to say."""
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(forks.wait(self.pid))
        return self._code, self._said.read()

    def result(self) -> str:
        """Wait for its end, which must be a good one: what its work returned, as text."""
        code, said = self.ended()
        assert code == 0, f"a child ended with {code} ({-signal.SIGALRM}: it ran out of patience) and said: {said}"
        return said.rpartition("\n")[2]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._code is None:
            with suppress(ProcessLookupError, ChildProcessError):  # which must not hide why this is left
                self.signal(signal.SIGKILL)
                self.ended()
        self._said.close()


@contextmanager
def released_at_once(number: int, work: Callable[[], object]) -> Iterator[list[Child]]:
    """So many children that do the same work, all from the same moment on."""
    gate, release = os.pipe()

    def wait_then_work(say: Say, gate: int) -> object:
        say("ready")
        os.read(gate, 1)  # nobody writes: it ends once the other end is closed
        return work()

    with ExitStack() as stack:
        stack.callback(os.close, gate)
        children = [stack.enter_context(Child(wait_then_work, descriptors=[gate])) for _ in range(number)]
        assert [child.heard() for child in children] == ["ready"] * number
        os.close(release)
        yield children


class _Tracer:
    """Carries a fault out; says where."""

    def __init__(self, fault: Fault, say: Say) -> None:
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


def _live(work: Callable[..., object], fault: Fault | None, pipe: int, *descriptors: int) -> NoReturn:
    def say(line: str, end: str = "\n") -> None:
        os.write(pipe, f"{line}{end}".encode())

    code = _FAILED
    try:
        signal.alarm(int(PATIENCE))
        sys.settrace(_Tracer(fault, say) if fault is not None else None)
        result = work(say, *descriptors)
        sys.settrace(None)
        say(str(result), end="")
        code = 0
    finally:
        if code != 0:
            say(traceback.format_exc())
        os._exit(code)
