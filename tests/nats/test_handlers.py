"""Handlers of handlers, tickets, and metrics, over a real broker."""

import asyncio
from typing import TypeAlias

from nats.aio.client import Client
from returns.result import Failure, Success

from ipcfold import Continuation, Message, Name
from ipcfold.effects import Ticket
from ipcfold.events import Ending, Event, Listening, Stopping
from ipcfold.handlers import Remembered, once, rescue, route
from ipcfold.nats.aio import NATS
from ipcfold.otel import observer
from tests.nats.broker import Broker
from tests.nats.support import log, run, serving, standing_by
from tests.shells.handlers import EMPTY, Log
from tests.shells.support import PATIENCE, PING, PONG
from tests.test_otel import Meter

OCTETS = Message.octets(b"\x00")


def fragile(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    if message.content == b"fail":
        raise ValueError(carry)
    return continuation.respond((*carry, message.content.decode()), Message.text(str(len(carry) + 1)))


def count_octets(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    return continuation.respond((*carry, "octets"), message)


def test_handlers_of_handlers_fold_the_same_on_all_servers(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url)
        handler = once(rescue(route({"application/octet-stream": count_octets}, fragile), Message.text("failed")))
        first, second = (asyncio.create_task(nats.listen(name)(Remembered(EMPTY), handler)) for _ in range(2))
        async with (await nats.wait(name, PATIENCE)).unwrap() as process:
            identified = Message.text("pay").identified("order-1")
            assert await process.ask(identified) == Success(Message.text("1"))
            assert await process.ask(Message.text("fail")) == Success(Message.text("failed"))
            assert await process.ask(OCTETS) == Success(OCTETS)
            async with (await nats.get(name)).unwrap() as other:
                assert await other.ask(identified) == Success(Message.text("1"))  # it was folded once
                assert await other.ask(Message.text("more")) == Success(Message.text("3"))
        await standing_by(shared_broker.url, name)
        for server in (first, second):  # the one that ends first may not have folded everything yet, unless it leads
            server.cancel()
        carries = [(await server).unwrap().carry for server in (first, second)]
        assert ("pay", "octets", "more") in carries

    run(test())


Tickets: TypeAlias = "tuple[Ticket, ...]"


def deferring(message: Message, continuation: Continuation[Tickets], open_: Tickets) -> Continuation[Tickets]:
    """Answer the messages that were left open, when somebody says so."""
    if message != PONG:
        return continuation.defer((*open_, continuation.ticket))
    for ticket in open_:
        continuation = continuation.answer((), ticket, PONG)
    return continuation.respond((), PONG)


def test_an_answer_that_was_left_open_comes_from_the_next_leader(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url)
        nobody: Tickets = ()
        leader = asyncio.create_task(nats.listen(name)(nobody, deferring))
        async with (await nats.wait(name, PATIENCE)).unwrap() as process, (await nats.get(name)).unwrap() as other:
            asking = asyncio.create_task(process.ask(PING))
            await asyncio.sleep(0)  # now it has its place before the next one
            assert await process.send(PING) == Success(process)
            standby = asyncio.create_task(nats.listen(name)(nobody, deferring))
            await standing_by(shared_broker.url, name)
            leader.cancel()
            await leader
            assert await other.ask(PONG) == Success(PONG)
            assert await asking == await process.wait() == Success(PONG)
        standby.cancel()
        assert await standby == Success(())

    run(test())


def test_metrics_are_those_of_servers_over_sockets(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        meter = Meter()
        nats = NATS(shared_broker.url, observe=observer(meter.provider))
        async with serving(nats, name), (await nats.get(name)).unwrap() as process:
            assert await process.send(Message.text("many 3"), Message.text("stop")) == Success(process)
        measured, server = meter.measured(), str(name)
        assert measured["ipcfold.server.responses", (server,)] == 3
        assert measured["ipcfold.server.connections", (server,)] == 0  # one may have connected before the server led
        assert measured["ipcfold.server.departures", (server, "dismissed")] == 1
        assert measured["ipcfold.server.message.duration count", (server, "continue")] == 1
        assert measured["ipcfold.server.endings", (server, "stopped")] == 1

    run(test())


def test_an_observer_hears_why_its_server_ends(shared_broker: Broker, own_broker: Broker, name: Name) -> None:
    async def test() -> None:
        heard = list[Event]()
        nats = NATS(shared_broker.url, observe=heard.append)
        async with serving(nats, name) as leader, serving(NATS(shared_broker.url), name):
            await standing_by(shared_broker.url, name)
            leader.cancel()
            await leader  # the other one goes on
        async with serving(nats, name):
            pass
        assert endings(heard) == [Ending.SIGNALLED, Ending.SIGNALLED]
        while len(endings(heard)) < 3:  # it may end before it leads
            await nats.listen(name, 0.3)(EMPTY, log)
        async with serving(NATS(own_broker.url, observe=heard.append), name) as server:
            client = Client()
            await client.connect(own_broker.url)
            await client.jsm().delete_stream(f"ipcfold_{name}")
            await client.close()
            assert isinstance(await server, Failure)
        assert endings(heard)[2:] == [Ending.TIMED_OUT, Ending.BROKEN]
        assert sum(isinstance(event, Listening) for event in heard) == 4

    run(test())


def endings(events: list[Event]) -> list[Ending]:
    return [event.ending for event in events if isinstance(event, Stopping)]
