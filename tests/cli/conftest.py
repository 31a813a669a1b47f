"""A server that all the tests of a module talk to."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.support import echoing


@pytest.fixture(scope="module")
def echo() -> Iterator[Path]:
    """The directory of a server that responds with what it is sent."""
    with tempfile.TemporaryDirectory(prefix="ipc") as directory, echoing(Path(directory)):
        yield Path(directory)
