"""Brokers that ask who is there, and permit little. What a client and a server need is what the how-to names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from returns.result import Failure, Success

from ipcfold import Limits, Name
from ipcfold.log import History, Snapshots
from ipcfold.nats import BrokerRefused, NotAuthorized, NotPermitted
from ipcfold.nats.aio import NATS
from tests.nats.broker import Broker, broker
from tests.nats.support import log, run, serving
from tests.nats.test_snapshots import SNAPSHOTS
from tests.shells.handlers import EMPTY
from tests.shells.support import PING, PONG

USERS = """
authorization: { users: [
  { user: server, password: secret, permissions: {
      publish: [ "ipcfold.Orders.>", "_INBOX.>", "_INBOX_ann.>", "$JS.API.STREAM.INFO.ipcfold_Orders",
        "$JS.API.STREAM.MSG.GET.ipcfold_Orders", "$JS.API.STREAM.PURGE.ipcfold_Orders",
        "$JS.API.STREAM.CREATE.ipcfold_Orders", "$JS.API.CONSUMER.CREATE.ipcfold_Orders", "$JS.FC.ipcfold_Orders.>" ],
      subscribe: [ "ipcfold.Orders.>", "_INBOX.>" ] } }
  { user: ann, password: secret, permissions: {
      publish: [ "ipcfold.Orders.in.*", "ipcfold.Orders.find" ], subscribe: [ "_INBOX_ann.>" ], allow_responses: true } }
  { user: finder, password: secret, permissions: { publish: [ "ipcfold.Orders.find" ], subscribe: [ "_INBOX.>" ] } }
  { user: lister, password: secret, permissions: { publish: [ "$JS.API.STREAM.LIST" ], subscribe: [ "_INBOX.>" ] } }
  { user: deaf, password: secret, permissions: { publish: [ "ipcfold.Orders.>" ], subscribe: [ "_INBOX.*.*" ] } }
  { user: nobody, password: secret, permissions: { publish: [ "nothing" ] } }
] }
"""
ORDERS = Name("Orders")


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker with users."""
    with broker(tmp_path_factory.mktemp("strict"), USERS) as one:
        yield one


def nats(strict: Broker, user: str, **options: Any) -> NATS:
    return NATS(strict.url, user=user, password="secret", limits=Limits(handshake=10.0), **options)  # noqa: S106 - of a test


def test_a_server_and_a_client_need_no_more_than_these_permissions(strict: Broker) -> None:
    async def test() -> None:
        ann = nats(strict, "ann", inbox="_INBOX_ann")
        snapshots = Snapshots(SNAPSHOTS.coder, every=1, history=History.DROPPED)
        task = nats(strict, "server").listen(ORDERS)
        async with serving(ann, ORDERS, task=task(EMPTY, log, snapshots=snapshots)) as server, (await ann.get(ORDERS)).unwrap() as process:
            assert await process.ask(PING) == Success(PONG)
            assert await process.wait(1.5) != Success(PONG)  # the leader looks meanwhile whether it is there
            assert await process.ask(PING) == Success(PONG)
            server.cancel()
            assert await server == Success(("ping", "ping"))
        stopped = nats(strict, "server").listen(ORDERS, 0.01)(EMPTY, log, snapshots=snapshots)
        assert await stopped == Success(("ping", "ping"))

    run(test())


def test_a_client_that_may_not_write_or_read_is_told_so(strict: Broker) -> None:
    async def test() -> None:
        ann = nats(strict, "ann", inbox="_INBOX_ann")
        async with serving(ann, ORDERS, task=nats(strict, "server").listen(ORDERS)(EMPTY, log, snapshots=SNAPSHOTS)):
            for user, action, subject in (("finder", "publish", "ipcfold.Orders.in."), ("nobody", "publish", "ipcfold.Orders.find")):
                error = (await nats(strict, user).get(ORDERS)).failure()
                assert isinstance(error, NotPermitted)
                assert error.action == action
                assert error.subject.startswith(subject)
                assert "permissions" in str(error)
            foreign = (await nats(strict, "ann", inbox="_INBOX_bob").get(ORDERS)).failure()
            assert isinstance(foreign, NotPermitted)
            assert foreign.action == "subscribe"
            assert isinstance((await nats(strict, "nobody").exists(ORDERS)).failure(), NotPermitted)
            assert isinstance((await ann.processes()).failure(), NotPermitted)
            assert (await nats(strict, "lister").processes()).failure() == NotPermitted("publish", "ipcfold.Orders.find")

    run(test())


def test_a_server_that_may_not_make_its_stream_is_told_so(strict: Broker) -> None:
    error = run(nats(strict, "ann", inbox="_INBOX_ann").listen(ORDERS)(EMPTY, log)).failure()
    assert isinstance(error, NotPermitted)
    assert error.subject == "$JS.API.STREAM.INFO.ipcfold_Orders"


def test_wrong_credentials_are_an_error_at_once(strict: Broker, tmp_path: Path) -> None:
    wrong = "wrong"
    for each in (NATS(strict.url), NATS(strict.url, user="ann", password=wrong), NATS(strict.url, token=wrong)):
        error = run(each.get(ORDERS)).failure()
        assert isinstance(error, NotAuthorized)
        assert error.place == strict.url
        assert "credentials" in str(error)
    for missing in (NATS(strict.url, credentials=tmp_path / "missing.creds"), NATS(strict.url, nkey=tmp_path / "missing.nk")):
        assert isinstance(run(missing.get(ORDERS)).failure(), NotAuthorized)


def test_a_broker_without_jetstream_refuses_a_server(tmp_path: Path) -> None:
    name_of_user = "a"
    with broker(tmp_path, "accounts: { A: { users: [ { user: a, password: a } ] } }") as one:
        error = run(NATS(one.url, user="a", password=name_of_user).listen(ORDERS)(EMPTY, log)).failure()
        assert isinstance(error, BrokerRefused)
        assert "JetStream" in str(error)


def test_a_broker_whose_payloads_are_too_small_refuses_at_once(tmp_path: Path) -> None:
    with broker(tmp_path, "max_payload: 65536") as one:
        nats = NATS(one.url)
        for result in (run(nats.get(ORDERS)), run(nats.exists(ORDERS)), run(nats.listen(ORDERS)(EMPTY, log))):
            error = result.failure()
            assert isinstance(error, BrokerRefused)
            assert "max_payload is 65536" in str(error)


def test_the_stream_of_another_program_is_left_alone(own_broker: Broker, name: Name) -> None:
    from nats.aio.client import Client  # noqa: PLC0415 - only this test

    async def test() -> None:
        client = Client()
        await client.connect(own_broker.url)
        await client.jetstream().add_stream(name=f"ipcfold_{name}", subjects=["other"])
        await client.close()
        error = (await NATS(own_broker.url).listen(name)(EMPTY, log)).failure()
        assert type(error).__name__ == "LogForeign"
        assert "another program" in str(error)

    run(test())


def test_a_stream_that_is_full_is_an_error_and_not_a_silence(own_broker: Broker, name: Name) -> None:
    from nats.aio.client import Client  # noqa: PLC0415 - only this test
    from nats.js.api import DiscardPolicy  # noqa: PLC0415 - as above

    async def test() -> None:
        nats = NATS(own_broker.url)
        async with serving(nats, name), (await nats.get(name)).unwrap() as process:
            assert await process.ask(PING) == Success(PONG)
            client = Client()
            await client.connect(own_broker.url)
            stream = client.jetstream()
            config = (await stream.stream_info(f"ipcfold_{name}")).config
            config.max_bytes, config.discard = 20_000, DiscardPolicy.NEW
            await stream.update_stream(config)
            await client.close()
            await process.send(*[PING] * 10)
            error: Any = (await process.send(*[PING] * 2000)).failure()
            assert isinstance(error.reason, BrokerRefused)
            assert "maximum bytes" in str(error)
            assert await process.ask(PING) == Failure(type(error)(0, 1, error.reason))

    run(test())
