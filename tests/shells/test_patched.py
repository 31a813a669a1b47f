"""A process whose sockets, `select` or threads gevent or eventlet has replaced gets an error that says what to do."""

import select
import socket
import threading
from pathlib import Path
from typing import Final

import pytest
from returns.result import Failure, Success

from ipcfold import IPC
from ipcfold.errors import SystemFailure
from tests.shells.children import Channel, Child
from tests.shells.support import NAME, PATIENCE, ServerProcess
from tests.shells.test_address import idle

ADVICE: Final = "use ipcfold in another process, or patch with socket=False, select=False and thread=False"


def replaced(package: str, part: str) -> None:
    """Replace this part of the standard library as the package does; only in a child."""
    if part == "sockets":

        class Green(socket.socket):
            __module__ = f"{package}.sockets"

        setattr(socket, "socket", Green)  # noqa: B010 - mypy refuses the assignment
        return

    def green(*_: object) -> object:
        raise AssertionError

    green.__module__ = f"{package}.green"
    module, name = (select, "select") if part == "select" else (threading, "get_ident")
    setattr(module, name, green)


@pytest.mark.parametrize("package", ["gevent", "eventlet"])
@pytest.mark.parametrize("part", ["sockets", "select", "threads"])
def test_a_process_with_replaced_parts_is_told_so_at_once(directory: Path, server: ServerProcess, package: str, part: str) -> None:
    path = directory / f"{NAME}.sock"

    def failure(action: str) -> Failure[SystemFailure]:
        return Failure(SystemFailure(action, path, f"{package} has replaced the {part} of this process", ADVICE))

    def work(_: Channel) -> object:
        replaced(package, part)
        ipc = IPC(directory)
        assert ipc.get(NAME) == failure("connect to")
        assert ipc.wait(NAME) == failure("connect to")
        assert ipc.listen(NAME)(0, idle) == failure("listen at")
        return "refused"

    with Child(work) as child:
        assert child.result() == "refused"
    assert server.stop() == []


def test_a_subclass_of_sockets_of_another_package_is_no_reason_to_refuse(directory: Path, server: ServerProcess) -> None:
    def work(_: Channel) -> object:
        replaced("traced", "sockets")
        return IPC(directory).wait(NAME, PATIENCE).map(lambda process: process.close())

    with Child(work) as child:
        assert child.result() == str(Success(Success(None)))
    assert server.stop() == []
