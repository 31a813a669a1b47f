"""The broker of the tests of one process, and names that no other test has."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from ipcfold import Name
from tests.nats.broker import Broker, broker

_numbers = count()


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that no test stops."""
    with broker(tmp_path_factory.mktemp("broker")) as one:
        yield one


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker for this test alone."""
    with broker(tmp_path) as one:
        yield one


@pytest.fixture
def name() -> Name:
    return Name(f"server-{next(_numbers)}")
