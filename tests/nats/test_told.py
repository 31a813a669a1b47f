"""What a broker refuses, and what becomes of a stream, is told: to the client, to the caller of the server, or in the log."""

import asyncio
import signal

import pytest
from returns.result import Success

from ipcfold import Name
from ipcfold.nats import NATS as BLOCKING
from ipcfold.nats import BrokerRefused
from ipcfold.nats.aio import NATS
from tests.nats.broker import Broker
from tests.nats.support import log, run
from tests.shells.handlers import EMPTY


@pytest.mark.parametrize(("copies", "length", "reason"), [(3, 10, "replicas"), (1, 250, "name is too long")])
def test_a_stream_that_cannot_be_made_says_why(shared_broker: Broker, copies: int, length: int, reason: str) -> None:
    error = run(NATS(shared_broker.url, replicas=copies).listen(Name("x" * length))(EMPTY, log)).failure()
    assert isinstance(error, BrokerRefused)
    assert error.action == "make the stream"
    assert reason in error.reason


def test_a_server_that_is_stopped_before_it_serves_ends_in_good_order(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        task = asyncio.create_task(NATS(shared_broker.url).listen(name)(EMPTY, log))
        await asyncio.sleep(0)
        task.cancel()
        assert await task == Success(EMPTY)

    run(test())


def test_a_signal_that_comes_before_the_server_serves_ends_it_in_good_order(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        task = asyncio.create_task(NATS(shared_broker.url).listen(name, signals=(signal.SIGUSR1,))(EMPTY, log))
        await asyncio.sleep(0)
        signal.raise_signal(signal.SIGUSR1)
        assert await task == Success(EMPTY)

    run(test())


def test_a_server_on_a_thread_can_be_stopped_at_once(shared_broker: Broker, name: Name) -> None:
    running = BLOCKING(shared_broker.url).listen(name).start(EMPTY, log)
    running.stop()
    assert running.result() == Success(EMPTY)
