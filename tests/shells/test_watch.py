"""`IPC.wait` for a server that is not there: the directory is watched, so that waiting costs nothing and finds it at once.

The children wait with such long pauses between two looks that only the watch ends a pause.
"""

import errno
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytest
from returns.result import Failure

from ipcfold import IPC, Name
from ipcfold.core import verbs
from ipcfold.errors import DirectoryUnusable, TimedOut
from ipcfold.local import watch
from tests.shells.children import Channel, Child
from tests.shells.support import NAME, PATIENCE, PING, PONG, leave_socket, running

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and stands in for what inotify says")


class _RaisedError(Exception):
    """What a signal handler raises."""


OTHER: Final = Name("other")
POLL: Final = select.poll


def only_watching(new: float = PATIENCE) -> None:
    """Let only the watch end a pause, except at a socket that is new, however long a server takes to listen; only in a child."""
    setattr(verbs, "_AFRESH", PATIENCE * 2)  # noqa: B010 - mypy refuses the assignment to a constant
    setattr(verbs, "_NEW", new)  # noqa: B010 - as above


def answered(directory: Path | None) -> object:
    """The response of the server, once there is one."""
    return IPC(directory).wait(NAME, PATIENCE).unwrap().ask(PING, PATIENCE)


def waits(directory: Path | None, new: float = PATIENCE) -> Callable[[Channel], object]:
    def work(_: Channel) -> object:
        only_watching(new)
        return answered(directory)

    return work


def watched(pid: int) -> list[str]:
    """The inodes of the directories that a process watches."""
    found = list[str]()
    for file in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            lines = file.read_text().splitlines()
        except FileNotFoundError:  # it is closed meanwhile
            continue
        found += [line.split(" ino:")[1].split()[0] for line in lines if line.startswith("inotify ")]
    return found


def until_it_watches(child: Child, directory: Path) -> None:
    while watched(child.pid) != [f"{directory.stat().st_ino:x}"]:
        os.sched_yield()


@linux
def test_wait_finds_a_server_that_binds_and_listens(directory: Path) -> None:
    with Child(waits(directory)) as child:
        until_it_watches(child, directory)
        with running(directory):
            assert child.result() == f"<Success: {PONG}>"


@linux
def test_wait_finds_a_socket_that_is_renamed_to_the_name(directory: Path) -> None:
    with running(directory, name=OTHER), Child(waits(directory, new=0.0)) as child:
        until_it_watches(child, directory)
        os.rename(directory / "other.sock", directory / "server.sock")
        assert child.result() == f"<Success: {PONG}>"


@linux
def test_wait_finds_a_server_that_replaces_a_dead_one(directory: Path) -> None:
    leave_socket(directory / "server.sock")
    with running(directory, name=OTHER), Child(waits(directory, new=0.0)) as child:
        until_it_watches(child, directory)
        os.rename(directory / "other.sock", directory / "server.sock")
        assert child.result() == f"<Success: {PONG}>"


@linux
@pytest.mark.parametrize("below", ["later", "much/later"])
def test_wait_finds_a_server_whose_directory_is_made_later(directory: Path, below: str) -> None:
    def work(line: Channel) -> object:
        os.environ["IPCFOLD_DIRECTORY"] = str(directory / below)
        return waits(None)(line)

    with Child(work) as child:
        until_it_watches(child, directory)
        (directory / below).mkdir(mode=0o700, parents=True)
        until_it_watches(child, directory / below)
        with running(directory / below):
            assert child.result() == f"<Success: {PONG}>"


@linux
def test_wait_says_that_its_directory_is_deleted(directory: Path) -> None:
    place = directory / "place"
    place.mkdir(mode=0o700)
    with Child(lambda _: type(IPC(place).wait(NAME, PATIENCE).failure()).__name__) as child:
        until_it_watches(child, place)
        place.rmdir()
        assert child.result() == DirectoryUnusable.__name__


@linux
def test_other_files_of_the_directory_end_no_wait(directory: Path) -> None:
    with Child(waits(directory)) as child:
        until_it_watches(child, directory)
        for number in range(1000):
            (directory / f"{number}.lock").touch()
        with running(directory):
            assert child.result() == f"<Success: {PONG}>"


@linux
def test_an_exception_of_a_signal_handler_leaves_no_descriptor_open(directory: Path) -> None:
    def work(_: Channel) -> object:
        before = os.listdir("/proc/self/fd")

        def interrupt(__: int, ___: FrameType | None) -> None:
            raise _RaisedError

        signal.signal(signal.SIGUSR1, interrupt)
        only_watching()
        try:
            IPC(directory).wait(NAME, PATIENCE)
        except _RaisedError:
            return sorted(os.listdir("/proc/self/fd")) == sorted(before)
        return "no exception"

    with Child(work) as child:
        until_it_watches(child, directory)
        child.signal(signal.SIGUSR1)
        assert child.result() == "True"


@linux
def test_a_wait_that_succeeds_ends_its_watch(directory: Path) -> None:
    def work(line: Channel) -> object:
        process = IPC(directory).wait(NAME, PATIENCE).unwrap()
        line.say("connected")
        line.hear()
        return process.ask(PING, PATIENCE)

    with Child(work) as child:
        until_it_watches(child, directory)
        with running(directory):
            assert child.hear() == "connected"
            while watched(child.pid):  # a thread closes it, which takes a moment
                os.sched_yield()
            child.say("go on")
            assert child.result() == f"<Success: {PONG}>"


def attempts(directory: Path, seconds: float) -> int:
    """How often a wait of so many seconds looks for the server."""
    count = 0

    def profile(frame: FrameType, event: str, _: Any) -> None:  # Any: whatever is called or returned
        nonlocal count
        count += event == "call" and frame.f_code.co_name == "_connected"

    sys.setprofile(profile)
    try:
        assert IPC(directory).wait(NAME, seconds) == Failure(TimedOut(NAME, seconds, "the server"))
    finally:
        sys.setprofile(None)
    return count


@linux
@pytest.mark.parametrize("dead", [False, True])
def test_a_wait_for_nobody_looks_rarely(directory: Path, dead: bool) -> None:  # noqa: FBT001 - a column of the table above
    """A slow machine looks even less often."""
    if dead:
        leave_socket(directory / "server.sock")
    with Child(lambda _: attempts(directory, 1.0)) as child:
        assert int(child.result()) <= 7 + (50 if dead else 0)  # a new socket is looked at each millisecond for 50 of them


class BrokenPoll:
    """A poll that the system refuses as long as only the directory is watched."""

    def __init__(self) -> None:
        self._poll = POLL()
        self._sockets = False

    def register(self, file: socket.socket | int, events: int) -> None:
        self._sockets = not isinstance(file, int)
        self._poll.register(file, events)

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        if not self._sockets:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return self._poll.poll(timeout)


@linux
@pytest.mark.parametrize("broken", ["directory", "ctypes", "poll"])
def test_wait_finds_a_server_where_the_directory_cannot_be_watched(directory: Path, broken: str) -> None:
    def work(line: Channel) -> object:
        if broken == "ctypes":
            sys.modules["ctypes"] = None  # type: ignore[assignment]  # Python then says that it is missing
        elif broken == "poll":
            vars(select).update(poll=BrokenPoll)  # the failure is injected into this process alone
        else:
            setattr(watch, "_CHANGES", 0)  # noqa: B010 - mypy refuses the assignment; the kernel refuses to watch for nothing
        line.say("waits")
        return answered(directory)

    with Child(work) as child:
        assert child.hear() == "waits"
        with running(directory):
            assert child.result() == f"<Success: {PONG}>"
