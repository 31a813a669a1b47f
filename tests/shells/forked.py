"""Forked children that are somebody else: another user, or a process with the pid of a dead one.

They are forked rather than started, since the interpreter and the sources may lie where other users cannot read.
"""

import os
import signal
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import NoReturn, Self

import pytest

from ipcfold import IPC, Limits
from ipcfold.local.credentials import same_user
from ipcfold.local.log import logger
from ipcfold.peer import Trust
from tests.shells import forks
from tests.shells.handlers import EMPTY, log
from tests.shells.serve import Records
from tests.shells.support import NAME, PATIENCE

NOBODY = 65534
_LAST_PID = Path("/proc/sys/kernel/ns_last_pid")  # the next process gets the next free pid after this one

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def anybody(_: object) -> bool:
    return True


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

    def close(self) -> None:
        self._reading.close()
        self._stream.close()


class Forked:
    """A child that does some work, as that user if one is given; what the work returns it says last."""

    def __init__(
        self,
        work: Callable[..., str],
        user: int | None = None,
        group: int | None = None,
        *,
        pid: int | None = None,
        descriptors: Sequence[int] = (),
    ) -> None:
        """The work gets its end of the line, then its numbers of the descriptors. With `pid`, only a process of that pid does it."""
        here, there = socket.socketpair()
        with there:
            identity = (user, group if group is not None else user)
            self.pid = forks.fork(partial(_do, work, identity, pid), [there.fileno(), *descriptors], pid=pid)
        self._line = Channel(here)
        self._ended = False

    def say(self, text: str) -> None:
        self._line.say(text)

    def hear(self) -> str:
        """What it says next; its failure is the test's, and so is its reason to skip."""
        text = self._line.hear()
        if text.startswith("skipped: "):
            pytest.skip(text.removeprefix("skipped: "))
        assert not text.startswith("failed: "), text
        return text

    def stop(self) -> str:
        """End the server in it from outside; what it says then."""
        os.kill(self.pid, signal.SIGTERM)
        return self.hear()

    def gone(self) -> None:
        """Wait for its end; afterwards its pid is free."""
        forks.wait(self.pid)
        self._ended = True

    def end(self) -> None:
        """Kill it if it still runs."""
        if not self._ended:
            os.kill(self.pid, signal.SIGKILL)
            self.gone()
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()


def _do(work: Callable[..., str], identity: tuple[int | None, int | None], pid: int | None, stream: int, *descriptors: int) -> NoReturn:
    if pid not in (None, os.getpid()):  # somebody was quicker; whoever forked it sees that, too
        os._exit(0)
    signal.alarm(round(2 * PATIENCE))  # should the test that would end it be gone
    line = Channel(socket.socket(fileno=stream))
    user, group = identity
    try:
        if user is not None and group is not None:
            os.setgroups([])
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)
        line.say(work(line, *descriptors))
    except pytest.skip.Exception as skipped:
        line.say(f"skipped: {skipped}")
    except BaseException as error:  # noqa: BLE001 - whatever it is, it must not get out into the test's own frames
        line.say(f"failed: {error!r}")
    finally:
        os._exit(0)


def as_nobody(work: Callable[[], object]) -> str:
    """The text of what the work returns when nobody does it."""
    with Forked(lambda _: str(work()), NOBODY) as child:
        return child.hear()


def serving(directory: Path, trust: Trust = same_user, limits: Limits | None = None) -> Callable[[Channel], str]:
    """The work of a server of these tests, which says each record of its log at once and the result in the end."""

    def work(line: Channel) -> str:
        logger().addHandler(Records(line.say))
        ipc = IPC(directory, heartbeat=0.05, limits=limits or Limits(), trust=trust)
        return str(ipc.listen(NAME)(EMPTY, log))

    return work


def need_pids() -> None:
    """Skip the test where a pid cannot be chosen."""
    try:
        _LAST_PID.write_text(_LAST_PID.read_text())
    except OSError as error:
        pytest.skip(f"a pid cannot be had again at will: {error}")


def reborn(pid: int, work: Callable[[Channel], str]) -> Forked:
    """A child with the pid of a process that is gone."""
    deadline = monotonic() + PATIENCE / 2
    while monotonic() < deadline:
        child = Forked(work, pid=pid)
        if child.pid == pid:
            return child
        child.end()
    pytest.skip(f"another process keeps the pid {pid}")
