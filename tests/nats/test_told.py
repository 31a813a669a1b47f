"""What a broker refuses, and what becomes of a stream, is told: to the client, to the caller of the server, or in the log."""

import asyncio
import json
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.api import AckPolicy, DiscardPolicy
from nats.js.client import JetStreamContext
from nats.js.errors import APIError
from returns.result import Failure, Success

from ipcfold import ConnectionLost, Limits, LogFailed, Name, Peer
from ipcfold.events import Connected, Event
from ipcfold.nats import NATS as BLOCKING
from ipcfold.nats import BrokerRefused, NotPermitted, Unacknowledged
from ipcfold.nats.aio import NATS
from ipcfold.nats.broker import Broker as Connection
from ipcfold.nats.entries import Bye, encode
from ipcfold.nats.subjects import Subjects
from ipcfold.nats.trouble import Trouble
from tests.nats.broker import Broker, broker
from tests.nats.proxy import Links
from tests.nats.support import log, run, serving
from tests.shells.handlers import EMPTY
from tests.shells.support import PATIENCE, PING, PONG


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


def users(publish: list[str]) -> str:
    """A broker whose only user may publish that, and make and find streams."""
    publish = [*publish, "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.CREATE.*"]
    return f"authorization: {{ users: [{{ user: ann, password: secret, permissions: {{ publish: {json.dumps(publish)} }} }}] }}"


READ = "$JS.API.CONSUMER.CREATE.*"


def ann(one: Broker, **options: Any) -> NATS:
    return NATS(one.url, user="ann", password="secret", **options)  # noqa: S106 - of a test


def test_a_server_that_may_not_lead_is_told_so(tmp_path: Path) -> None:
    with broker(tmp_path, users([READ, "ipcfold.*.beat.*", "_INBOX.>"])) as one:
        error = run(ann(one).listen(Name("Orders"))(EMPTY, log)).failure()
    assert error == NotPermitted("publish", "ipcfold.Orders.lead")


def test_a_server_that_may_not_read_its_stream_is_told_so(tmp_path: Path) -> None:
    with broker(tmp_path, users(["ipcfold.>", "_INBOX.>"])) as one:
        error = run(ann(one).listen(Name("Orders"))(EMPTY, log)).failure()
    assert error == NotPermitted("publish", "$JS.API.CONSUMER.CREATE.ipcfold_Orders")


def test_a_server_that_may_not_ask_whether_the_leader_lives_is_told_so(tmp_path: Path) -> None:
    async def test(one: Broker) -> None:
        async with serving(ann(one), Name("Orders")):
            error = (await ann(one).listen(Name("Orders"))(EMPTY, log)).failure()
            assert isinstance(error, NotPermitted)
            assert error.subject.startswith("ipcfold.Orders.beat.")

    with broker(tmp_path, users([READ, "ipcfold.*.in.*", "ipcfold.*.find", "ipcfold.*.lead", "ipcfold.*.standby", "_INBOX.>"])) as one:
        run(test(one))


def test_a_client_that_may_not_say_that_it_is_there_is_told_so(tmp_path: Path) -> None:
    permissions = "permissions: { publish: [ ipcfold.Orders.in.*, ipcfold.Orders.find ] }"
    two = f"authorization: {{ users: [ {{ user: server, password: secret }}, {{ user: ann, password: secret, {permissions} }} ] }}"

    async def test(one: Broker) -> None:
        nats = NATS(one.url, user="server", password="secret")  # noqa: S106 - of a test
        async with serving(nats, Name("Orders")), (await ann(one).get(Name("Orders"))).unwrap() as process:
            error = (await process.wait()).failure()
            assert isinstance(error, NotPermitted)
            assert error.subject.startswith("_INBOX.")

    with broker(tmp_path, two) as one:
        run(test(one))


def readers() -> set[asyncio.Task[Any]]:
    """The tasks that read subscriptions."""
    return {task for task in asyncio.all_tasks() if "_wait_for_msgs" in repr(task.get_coro())}


def test_nothing_is_left_of_a_session_without_a_broker(own_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(own_broker.url, patience=0.6)
        async with serving(nats, name):
            process = (await nats.get(name)).unwrap()
            before = readers()
            other = (await nats.get(name)).unwrap()
            own_broker.kill()
            assert isinstance((await other.send(PING)).failure(), Unacknowledged)
            await other.close()
            while readers() - before:
                await asyncio.sleep(0)
            await process.close()
            own_broker.start()

    run(test())


def test_the_log_of_a_server_says_which_clients_it_may_not_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(one: Broker) -> None:
        async with serving(ann(one), Name("Orders")):
            asking = asyncio.create_task(ann(one, inbox="_INBOX_bob").wait(Name("Orders")))
            while "publish on _INBOX_bob." not in caplog.text:
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait((asking,))

    with broker(tmp_path, users([READ, "ipcfold.>", "_INBOX.>"])) as one:
        run(test(one))
    assert caplog.records[-1].levelno == logging.WARNING


def test_the_log_of_a_server_says_when_its_broker_is_lost_and_comes_back(
    own_broker: Broker, name: Name, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def test() -> None:
        async with serving(NATS(own_broker.url), name):
            own_broker.kill()
            while "trouble with the broker" not in caplog.text:
                await asyncio.sleep(0)
            own_broker.start()
            while "connected to the broker" not in caplog.text:
                await asyncio.sleep(0)

    run(test())


def test_each_trouble_is_told_once_and_only_what_a_server_needs_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    connection = Connection(NATS("nats://127.0.0.1:1").address)
    trouble = Trouble(connection, Subjects(Name("Orders")), None)
    trouble.tell("it is slow")
    trouble.tell("it is slow")
    assert len(caplog.records) == 1
    trouble.over()
    trouble.tell("it is slow")
    assert len(caplog.records) == 3
    for subject in ("$js.api.stream.purge.ipcfold_orders", "ipcfold.orders.snap", "ipcfold.orders.part.7.0", "_inbox.a"):
        connection.denied(NotPermitted("publish", subject))
    assert [record.args[2] for record in caplog.records[3:] if isinstance(record.args, tuple)] == [
        str(NotPermitted("publish", subject)) for subject in ("ipcfold.orders.snap", "ipcfold.orders.part.7.0", "_inbox.a")
    ]
    assert trouble.denied is None
    connection.denied(NotPermitted("publish", "$js.fc.ipcfold_orders.a"))
    assert trouble.denied is not None


async def changed(one: Broker, change: Callable[[JetStreamContext], Awaitable[object]]) -> None:
    """Let an operator do something with a stream."""
    client = Client()
    await client.connect(one.url)
    await change(client.jetstream())
    await client.close()


async def filled(one: Broker, name: Name) -> None:
    """Let the stream of that name take nothing more."""

    async def fill(streams: JetStreamContext) -> None:
        config = (await streams.stream_info(f"ipcfold_{name}")).config
        config.max_bytes, config.discard = 1, DiscardPolicy.NEW
        await streams.update_stream(config)

    await changed(one, fill)


def test_a_client_that_begins_while_the_stream_is_full_is_told_so(own_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(own_broker.url, limits=Limits(handshake=PATIENCE))
        async with serving(nats, name):
            await filled(own_broker, name)
            error = (await nats.get(name)).failure()
            assert error == BrokerRefused("store a message", "maximum bytes exceeded")

    run(test())


def test_the_log_of_a_server_says_that_the_stream_does_not_take_its_entries(
    own_broker: Broker, name: Name, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        nats = NATS(own_broker.url)
        async with serving(nats, name) as leader:
            leader.cancel()
            assert await leader == Success(EMPTY)
            await filled(own_broker, name)
            second = asyncio.create_task(nats.listen(name)(EMPTY, log))
            while "refused to write to the stream: maximum bytes exceeded" not in caplog.text:
                await asyncio.sleep(0)
            second.cancel()
            assert await second == Success(EMPTY)

    run(test())


def test_a_stream_that_is_removed_and_made_again_ends_its_servers_and_sessions(own_broker: Broker, name: Name) -> None:
    async def again(streams: JetStreamContext) -> None:
        config = (await streams.stream_info(f"ipcfold_{name}")).config
        await streams.delete_stream(f"ipcfold_{name}")
        await streams.add_stream(config)

    async def test() -> None:
        nats = NATS(own_broker.url)
        first = asyncio.create_task(nats.listen(name)(EMPTY, log))
        process = (await nats.wait(name, PATIENCE)).unwrap()
        assert await process.ask(PING) == Success(PONG)
        await changed(own_broker, again)
        ended = (await first).failure()
        assert isinstance(ended, LogFailed)
        assert ended.carry == ("ping",)
        assert "removed, and made again" in str(ended)
        async with serving(nats, name), process:
            assert await process.wait() == Failure(ConnectionLost(name))
            assert (await process.send(PING)).failure() == Unacknowledged(0, 1, ConnectionLost(name))

    run(test())


def test_a_session_that_was_forgotten_while_its_client_was_away_ends_and_changes_nothing(shared_broker: Broker, name: Name) -> None:
    links, events = Links(), list[Event]()
    link = links.link(shared_broker.port)
    away = f"nats://127.0.0.1:{link.port}"

    async def forget(streams: JetStreamContext) -> None:
        """As if both sessions were over for long: they end, and all that they have is confirmed."""
        for ended in (await streams.stream_info(f"ipcfold_{name}", subjects_filter=Subjects(name).inbound)).state.subjects or ():
            for got in (0, 2**40):
                await streams.publish(ended, encode(Bye(got, "_INBOX.x")))

    async def test() -> None:
        async with serving(NATS(shared_broker.url, observe=events.append), name):
            process = (await NATS(away).get(name)).unwrap()
            blocking = (await asyncio.to_thread(BLOCKING(away).get, name)).unwrap()
            assert await process.ask(PING) == Success(PONG)
            link.reset()
            link.silence()
            await changed(shared_broker, forget)
            waiting = asyncio.create_task(process.wait())
            asking = asyncio.create_task(asyncio.to_thread(blocking.ask, PING))
            link.restore()
            assert await waiting == Failure(ConnectionLost(name))
            assert await asking == Failure(Unacknowledged(0, 1, ConnectionLost(name)))
            assert await process.close() == Failure(ConnectionLost(name))
            assert await asyncio.to_thread(blocking.close) == Failure(ConnectionLost(name))

    try:
        run(test())
    finally:
        links.close()
    assert [event.peer for event in events if isinstance(event, Connected)] == [Peer(1), Peer(2), Peer(3)]


def test_a_leader_that_the_broker_does_not_let_read_ends(own_broker: Broker, name: Name) -> None:
    stream = f"ipcfold_{name}"

    async def limited(streams: JetStreamContext) -> None:
        config = (await streams.stream_info(stream)).config
        await streams.delete_stream(stream)
        await streams.add_stream(config.evolve(max_consumers=1))

    async def taken(streams: JetStreamContext) -> None:
        """Take away the only consumer, and make another one."""
        while not any(consumer.name == "other" for consumer in await streams.consumers_info(stream)):
            for consumer in await streams.consumers_info(stream):
                await streams.delete_consumer(stream, consumer.name)
            with suppress(APIError):  # the server was faster
                await streams.add_consumer(stream, durable_name="other", ack_policy=AckPolicy.NONE)

    async def test() -> None:
        nats = NATS(own_broker.url, patience=0.1)
        assert await nats.listen(name, 0.01)(EMPTY, log) == Success(EMPTY)
        await changed(own_broker, limited)
        async with serving(nats, name) as server:
            await changed(own_broker, taken)
            ended = (await server).failure()
            assert isinstance(ended, LogFailed)
            assert "maximum consumers limit reached" in str(ended)

    run(test())
