"""What a server makes of a stream that has dropped or lost entries, or that has entries of others."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.api import StreamState
from returns.result import Success

from ipcfold import LogFailed, Message, Name
from ipcfold.log import History, Snapshots
from ipcfold.nats.aio import NATS, Process
from ipcfold.nats.order import Order, Step
from tests.nats.broker import Broker
from tests.nats.proxy import Link, Links
from tests.nats.support import log, ready, run, serving, standing_by
from tests.shells.handlers import EMPTY, Log

DROPPING: Snapshots[Log] = Snapshots.of(
    lambda carry: "\n".join(carry).encode(), lambda data: tuple(data.decode().splitlines()), every=1, history=History.DROPPED
)


@pytest.fixture
def link(shared_broker: Broker) -> Iterator[Link]:
    """A link to the broker that can be cut."""
    links = Links()
    yield links.link(shared_broker.port)
    links.close()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    client = Client()
    await client.connect(url)
    yield client
    await client.close()


async def state(client: Client, name: Name) -> StreamState:
    return (await client.jetstream().stream_info(f"ipcfold_{name}")).state


async def ask_until_dropped(client: Client, name: Name, process: Process, place: int) -> list[str]:
    """Ask until the entries up to this place are dropped. Returns what was asked."""
    asked = list[str]()
    while (await state(client, name)).first_seq <= place + 1:
        asked.append(f"echo {len(asked)}")
        assert await process.ask(Message.text(asked[-1])) == Success(Message.text(asked[-1]))
    return asked


def test_a_server_that_is_too_slow_begins_again_with_the_newest_snapshot(shared_broker: Broker, name: Name, link: Link) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url)
        task = nats.listen(name)(EMPTY, log, snapshots=DROPPING)
        async with connected(shared_broker.url) as client, serving(nats, name, task=task) as leader:
            standby = asyncio.create_task(NATS(f"nats://127.0.0.1:{link.port}").listen(name)(EMPTY, log, snapshots=DROPPING))
            await standing_by(shared_broker.url, name)
            link.reset()
            link.silence()
            async with (await nats.get(name)).unwrap() as process:
                asked = await ask_until_dropped(client, name, process, (await state(client, name)).last_seq)
                link.restore()
                await standing_by(shared_broker.url, name)
                leader.cancel()
                assert (await leader).unwrap() == tuple(asked)
                assert await process.ask(Message.text("echo end")) == Success(Message.text("echo end"))
            standby.cancel()
            assert await standby == Success((*asked, "echo end"))

    run(test())


def test_a_server_that_is_too_slow_and_reads_no_snapshots_ends(shared_broker: Broker, name: Name, link: Link) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url)
        async with connected(shared_broker.url) as client, serving(nats, name), (await nats.get(name)).unwrap() as process:
            slow = asyncio.create_task(NATS(f"nats://127.0.0.1:{link.port}").listen(name)(EMPTY, log))
            await standing_by(shared_broker.url, name)
            link.reset()
            link.silence()
            for number in range(3):
                assert await process.ask(Message.text(f"echo {number}")) == Success(Message.text(f"echo {number}"))
            await client.jetstream().purge_stream(f"ipcfold_{name}", seq=(await state(client, name)).last_seq)
            link.restore()
            failed = (await slow).failure()
            assert isinstance(failed, LogFailed)
            assert failed.carry == EMPTY
            assert "dropped entries that this server had not folded" in str(failed)

    run(test())


def test_a_server_whose_broker_has_lost_entries_ends(own_broker: Broker, name: Name, tmp_path: Path) -> None:
    async def test() -> None:
        nats = NATS(own_broker.url)
        task: asyncio.Task[Any] = asyncio.create_task(nats.listen(name)(EMPTY, log))
        await ready(nats, name, task)
        own_broker.kill()
        shutil.copytree(tmp_path / "jetstream", tmp_path / "older")
        own_broker.start()
        async with (await nats.wait(name)).unwrap() as process:
            assert await process.ask(Message.text("echo 1")) == Success(Message.text("echo 1"))
            own_broker.kill()
            shutil.rmtree(tmp_path / "jetstream")
            shutil.move(tmp_path / "older", tmp_path / "jetstream")
            own_broker.start()
            failed = (await task).failure()
            assert isinstance(failed, LogFailed)
            assert failed.carry == ("echo 1",)
            assert "brokers have lost entries" in str(failed)

    run(test())


def test_an_entry_with_headers_and_one_that_was_deleted_stop_nobody(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url)
        async with connected(shared_broker.url) as client:
            stream = client.jetstream()
            async with serving(nats, name) as server, (await nats.get(name)).unwrap() as process:
                await stream.publish(f"ipcfold.{name}.in.other", b"?", headers={"Status": "100", "Nats-Consumer-Stalled": "elsewhere"})
                deleted = await stream.publish(f"ipcfold.{name}.in.other", b"?")
                assert await process.ask(Message.text("echo 1")) == Success(Message.text("echo 1"))
                await stream.delete_msg(f"ipcfold_{name}", deleted.seq)
                server.cancel()
                assert await server == Success(("echo 1",))
            async with serving(nats, name) as server:
                server.cancel()
                assert await server == Success(("echo 1",))

    run(test())


def test_an_entry_is_next_only_if_no_other_is_between() -> None:
    order = Order(6)
    assert [order.step(6, 1), order.step(7, 2)] == [Step.KNOWN, Step.NEXT]
    order.take(7)
    assert order.step(9, 4) is Step.LOST
    assert not order.misses(2)
    assert order.misses(3)
    order.begin()
    assert order.step(9, 1) is Step.GAP
    order.take(9)
    assert (order.step(10, 2), order.after) == (Step.NEXT, 9)
