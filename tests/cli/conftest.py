"""A server that all the tests of a module talk to, and the command in the process of a test."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.inside import Command
from tests.cli.support import echoing


@pytest.fixture(scope="module")
def echo() -> Iterator[Path]:
    """The directory of a server that responds with what it is sent."""
    with tempfile.TemporaryDirectory(prefix="ipc") as directory, echoing(Path(directory)):
        yield Path(directory)


@pytest.fixture
def command(directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(directory, capsys, monkeypatch)
