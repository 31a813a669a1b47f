"""A system call of the server's loop that fails, or memory that runs out in it, costs no carry."""

import errno
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from returns.result import Success

from ipcfold import IPC, Continuation, Message
from ipcfold.accelerator import accelerated, fast
from ipcfold.events import Ending, Event, Stopping
from ipcfold.local.log import logger
from tests.shells.children import Channel, Child
from tests.shells.handlers import EMPTY, Log, log
from tests.shells.serve import Records
from tests.shells.support import NAME, PATIENCE, PING, PONG, python
from tests.shells.wire import START_OK, frame

CLOSE = Message.text("close")

LARGE = f"large {2**22}"  # more than a socket takes

ERRORS = [OSError(errno.EIO, "the system failed"), OSError(errno.ENOMEM, "no memory"), MemoryError()]


class FailingSocket(socket.socket):
    """A socket whose chosen call raises once it is armed."""

    call = ""
    error: BaseException | None = None

    def recv_into(self, *arguments: Any, **_: Any) -> int:  # Any: whatever the caller gives
        if self.call == "wakeup" and FailingSocket.error is not None:
            raise FailingSocket.error
        return super().recv_into(*arguments)


class FailingPoll:
    """An epoll of which chosen calls raise once they are armed."""

    call = ""
    error: BaseException | None = None

    def __init__(self) -> None:
        self._epoll = select.epoll()

    def __getattr__(self, name: str) -> object:
        if name == FailingPoll.call and FailingPoll.error is not None:
            error, FailingPoll.error = FailingPoll.error, None
            raise error
        return getattr(self._epoll, name)


@pytest.mark.skipif(sys.platform != "linux", reason="this injects failures into epoll")
@pytest.mark.parametrize("error", ERRORS, ids=["EIO", "ENOMEM", "MemoryError"])
@pytest.mark.parametrize("call", ["poll", "unregister", "wakeup"])
def test_a_failing_call_of_the_loop_ends_the_server_with_its_carry(directory: Path, call: str, error: BaseException) -> None:
    def serve(line: Channel) -> object:
        from ipcfold.local import epoll  # noqa: PLC0415 - for Linux alone

        vars(epoll).update(epoll=FailingPoll)  # the failure is injected into this process alone
        pair = socket.socketpair

        def failing_pair() -> tuple[socket.socket, socket.socket]:
            reader, writer = pair()
            failing = FailingSocket(fileno=reader.detach())
            failing.call = call
            return failing, writer

        vars(socket).update(socketpair=failing_pair)
        signal.signal(signal.SIGUSR1, lambda _, __: None)
        records = Records(lambda _: None)
        logger().addHandler(records)

        def handler(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            answer = log(message, continuation, carry)
            if message == CLOSE:
                FailingPoll.call, FailingPoll.error, FailingSocket.error = call, error, error
                os.kill(os.getpid(), signal.SIGUSR1)
            return answer

        told = list[Event]()
        before = len(os.listdir("/dev/fd"))
        result = IPC(directory, observe=told.append).listen(NAME)(EMPTY, handler)
        logged = [text for text in records.texts if "returns its carry" in text] != []
        return result, len(os.listdir("/dev/fd")) - before, logged, [type(event).__name__ for event in told[-2:]], told[-2]

    with Child(serve) as server:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            assert process.send(Message.text("quiet")) == Success(process)
            process.send(CLOSE)
        told = ["Stopping", "Disconnected"], Stopping(NAME, Ending.BROKEN)
        assert server.result() == str((Success(("quiet", "close")), 0, True, *told))
    assert list(directory.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="this injects failures into epoll")
@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENOMEM, errno.EIO])
@pytest.mark.parametrize("call", ["accept", "setblocking", "register", "modify"])
def test_a_call_that_fails_for_one_client_costs_at_most_that_client(directory: Path, call: str, error: int) -> None:
    def serve(_: Channel) -> object:
        from ipcfold.local import epoll  # noqa: PLC0415 - for Linux alone

        armed = list[OSError]()

        class Socket(socket.socket):
            def accept(self) -> tuple[socket.socket, object]:
                if call == "accept" and armed:
                    raise armed.pop()
                return super().accept()

            def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - as the standard library has it
                if call == "setblocking" and armed:
                    raise armed.pop()
                super().setblocking(flag)

        def handler(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            if message == CLOSE:
                armed.append(OSError(error, os.strerror(error)))
                FailingPoll.call, FailingPoll.error = call, armed[0] if call in ("register", "modify") else None
            return log(message, continuation, carry)

        if accelerated:
            fast.enable(False)  # it makes system calls without the objects of Python that fail here
        vars(epoll).update(epoll=FailingPoll)  # the failures are injected into this process alone
        vars(socket).update(socket=Socket)
        before = len(os.listdir("/dev/fd"))
        result = IPC(directory).listen(NAME)(EMPTY, handler)
        return result, len(os.listdir("/dev/fd")) - before

    with Child(serve) as server:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            process.send(CLOSE)
        if call != "accept":  # after that one the system has room again a moment later
            with socket.socket(socket.AF_UNIX) as unlucky:
                unlucky.connect(str(directory / f"{NAME}.sock"))
                with suppress(BrokenPipeError):  # it is dropped already
                    unlucky.sendall(frame(START_OK) + frame(LARGE))
                dropped = select.poll()
                dropped.register(unlucky, 0)
                assert dropped.poll(PATIENCE * 1000)
        with IPC(directory).get(NAME).unwrap() as process:
            assert process.ask(PING) == Success(PONG)
        folded = ("close", *[LARGE] * (call == "modify"), "ping")
        assert server.stop() == str((Success(folded), 0))


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="CPython 3.12.1 and 3.13.0 themselves crash where a generator gets no memory")
@pytest.mark.parametrize("first", [1, 951])
def test_a_server_without_memory_at_any_step_keeps_what_it_acknowledged(directory: Path, first: int) -> None:
    """Each of these allocations fails in turn, once: those after the acceptance of a client, and those about the end of the server."""
    pytest.importorskip("_testcapi", reason="this interpreter has no way to make allocations fail")
    lines = python("-m", "tests.shells.starved", directory, str(first), "200").stdout.splitlines()
    assert len(lines) == 200
    usual = lines[0].split(maxsplit=3)[3].partition(" the handler failed")[0]
    for number, line in enumerate(lines, first):
        told, carry, acknowledged, left = line.split(maxsplit=3)
        assert int(told) == number
        assert int(carry) >= int(acknowledged), line
        assert left.startswith(usual), line  # no file, the same descriptors, no signal
