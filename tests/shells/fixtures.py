"""Fixtures for all tests: a server process of the log, and its clients."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ipcfold import IPC, Process
from tests.shells.support import NAME, SERVE, ServerProcess, fifo, running
from tests.shells.wire import Wire


@pytest.fixture
def server(request: pytest.FixtureRequest, directory: Path) -> Iterator[ServerProcess]:
    """Of the shell that is tested, where a contract tests it."""
    with running(directory, program=getattr(request.cls, "program", SERVE)) as server:
        yield server


@pytest.fixture
def client(directory: Path, server: ServerProcess) -> Iterator[Wire]:
    """A client of the server, spoken by hand."""
    with Wire.talking(directory) as client:
        yield client


@pytest.fixture
def process(request: pytest.FixtureRequest, directory: Path, server: ServerProcess) -> Iterator[Process]:
    """A connection to the server, of the shell that is tested."""
    with getattr(request.cls, "ipc", IPC)(directory).get(NAME).unwrap() as process:
        yield process


@pytest.fixture
def gate(directory: Path) -> Path:
    """A fifo, at which the handler of `block` and `leave` waits until the test opens and closes the other end."""
    return fifo(directory)
