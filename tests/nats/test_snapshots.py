"""Snapshots in the stream, and handlers that answer in another way than they did."""

import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.aio.client import Client
from returns.result import Result, Success

from ipcfold import Continuation, LogFailed, Message, Name
from ipcfold.core.functions import Handlers
from ipcfold.core.wire import encode as frame_of
from ipcfold.errors import LogCorrupt
from ipcfold.events import Ending
from ipcfold.limits import Limits
from ipcfold.log import History, Snapshots
from ipcfold.nats.aio import NATS
from ipcfold.nats.entries import Adopted, Burst, Check, Gone, Hello, Lead, Part, Rang, encode
from ipcfold.nats.replica import Replica
from ipcfold.nats.sessions import FORGOTTEN
from ipcfold.nats.snapshot import PART, Mark, decode, mark, parts, whole
from ipcfold.nats.snapshot import encode as encode_snapshot
from tests.nats import world
from tests.nats.broker import Broker
from tests.nats.support import log, run, serving
from tests.nats.world import TERM, Server, Stream
from tests.nats.world import Client as Caller
from tests.shells.handlers import EMPTY, Log
from tests.shells.support import PING, PONG

SNAPSHOTS: Snapshots[Log] = Snapshots.of(lambda carry: "\n".join(carry).encode(), lambda data: tuple(data.decode().splitlines()))


def restored(server: Server) -> Server:
    """A server that begins with a snapshot of this one."""
    known = server.replica.known
    assert known is not None
    decoded = decode(encode_snapshot(known, Message.text("carry")))
    assert decoded is not None
    again, message = decoded
    assert message == Message.text("carry")
    other = Server(server.stream)
    other.replica.restore(again, server.replica.carry)
    return other


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["echo", "defer", "twice", "part", "gone", "new", "forget", "ring"]), max_size=12), st.integers(0, 12))
def test_a_server_that_begins_with_a_snapshot_goes_on_as_the_others(words: list[str], cut: int) -> None:
    stream = Stream()
    stream.lead(Lead("leader", 0))
    server, clients = Server(stream), [Caller(stream, "s0")]
    server.run()
    later: Server | None = None
    for at, word in enumerate(words):
        client = clients[-1]
        match word:
            case "part":
                stream.write(client.session, encode(Part(client.caller.sent + 1, 0, 0, False, b"half")))
            case "gone":
                stream.lead(Gone(TERM, (client.session,)))
            case "new":
                clients.append(Caller(stream, f"s{len(clients)}"))
            case "forget":
                stream.now += FORGOTTEN
            case "ring":
                stream.lead(Rang(TERM, server.replica.at))
            case _:
                client.caller.send([frame_of(Message.text(f"{word} {at}"))])
                client.publish()
        server.run()
        if at == cut:
            later = restored(server)
    for other in (restored(server), later or server):
        other.run()
        assert other.replica.carry == server.replica.carry
        assert [(each.identifier, each.sent, list(each.items)) for each in other.replica.sessions] == [
            (each.identifier, each.sent, list(each.items)) for each in server.replica.sessions
        ]
        assert other.replica.known is not None
        assert server.replica.known is not None
        assert encode_snapshot(other.replica.known, PING) == encode_snapshot(server.replica.known, PING)


def test_there_is_no_snapshot_in_the_middle_of_an_entry() -> None:
    stream = Stream()
    caller = Caller(stream, "s0")
    caller.caller.send([frame_of(Message.text("echo"))])
    caller.publish()
    replica = Server(stream).replica
    replica.take(1, 1.0, Hello("_INBOX.s0"), "s0")
    assert replica.known is None
    assert replica.ask() is None
    assert replica.known is not None
    replica.take(2, 2.0, Burst(1, 0, frame_of(Message.text("echo"))), "s0")
    asked = replica.ask()
    assert asked is not None
    assert replica.known is None
    replica.answered(asked[1].continue_(("done",)))
    assert replica.known is None
    assert replica.ask() is None
    assert replica.known is not None


def test_a_damaged_snapshot_is_nothing() -> None:
    stream = Stream()
    caller = Caller(stream, "s0")
    caller.caller.send([frame_of(Message.text("echo"))])
    caller.publish()
    server = Server(stream).run()
    known = server.replica.known
    assert known is not None
    data = encode_snapshot(known, PING)
    assert decode(data) is not None
    for damaged in (b"", data[:-1], data + b"x", data[:10], data.replace(b"identifier", b"identifies")):
        assert decode(damaged) is None
    one = mark(known, data, 5)
    assert (whole(list(parts(data)), one), whole([data[:-1]], one)) == (data, None)
    assert len(list(parts(bytes(PART + 1)))) == 2
    assert Mark.decode(one.encode()) == one
    assert Mark.decode(b"") is Mark.decode(b"\0" + one.encode()[1:]) is None


def test_a_server_that_answers_in_another_way_than_the_leader_ends() -> None:
    stream = Stream()
    stream.lead(Lead("leader", 0))
    caller = Caller(stream, "s0")
    caller.caller.send([frame_of(Message.text("echo"))])
    caller.publish()
    server = Server(stream).run()
    assert server.replica.digests.place is not None
    at, digest = server.replica.digests.place
    stream.lead(Check(TERM, at, digest))
    stream.lead(Check(0, at, digest + 1))
    stream.lead(Check(TERM, at + 100, digest))
    assert server.run().replica.over is None
    changed = Server(stream, handlers=Handlers(lambda _, continuation, carry: continuation.continue_(carry))).run()
    assert (changed.replica.over, changed.replica.digests.diverged, changed.replica.known) == (Ending.BROKEN, at, None)
    adopting = Server(stream, handlers=changed.handlers)
    adopting.replica = Replica(world.NAME, (), changed.handlers, Limits(), adopts=True)
    stream.lead(Adopted(0))
    assert adopting.run().replica.digests.adopts
    stream.lead(Adopted(TERM))
    assert not adopting.run().replica.digests.adopts
    accepted = Server(stream, passes=len(stream.entries), handlers=changed.handlers).run()
    accepted.replica.caught_up()
    assert accepted.replica.over is None
    assert adopting.replica.digests.checked == server.run().replica.digests.checked == 0
    assert adopting.replica.over is None


def test_a_server_begins_with_the_newest_snapshot_that_decodes(own_broker: Broker, name: Name, caplog: pytest.LogCaptureFixture) -> None:
    def mute(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        raise AssertionError("nothing of the past is folded again")

    async def test() -> None:
        nats = NATS(own_broker.url)

        async def served(handler: Any, options: Any, *texts: str) -> Result[Any, Any]:
            task = nats.listen(name)(EMPTY, handler, snapshots=options)
            async with serving(nats, name, task=task) as server, (await nats.get(name)).unwrap() as process:
                for text in texts:
                    assert await process.ask(Message.text(text)) == Success(Message.text(text))
                server.cancel()
                return await server

        large = "echo " + "x" * 600_000
        assert await served(log, SNAPSHOTS, "echo 1", large) == Success(("echo 1", large))
        assert await served(mute, SNAPSHOTS) == Success(("echo 1", large))
        dropping = Snapshots(SNAPSHOTS.coder, every=1, history=History.DROPPED)
        for number in range(2, 4):
            assert await served(log, dropping, f"echo {number}") == Success(("echo 1", large, *(f"echo {n}" for n in range(2, number + 1))))
        client = Client()
        await client.connect(own_broker.url)
        stream = client.jetstream()
        assert (await stream.stream_info(f"ipcfold_{name}")).state.first_seq > 1
        failed = (await nats.listen(name)(EMPTY, log)).failure()
        assert isinstance(failed, LogFailed)
        assert "first entries were dropped" in str(failed)

        def unreadable(data: bytes) -> Log:
            raise ValueError("of another version")

        failed = (await nats.listen(name)(EMPTY, log, snapshots=Snapshots.of(lambda _: b"", unreadable))).failure()
        assert isinstance(failed, LogFailed)
        assert isinstance(failed.reason, LogCorrupt)
        assert "of another version" in str(failed)
        last = await stream.get_last_msg(f"ipcfold_{name}", f"ipcfold.{name}.snap")
        found = Mark.decode(last.data or b"")
        assert found is not None
        await stream.publish(f"ipcfold.{name}.part.{found.at}.0", b"damaged")
        assert await served(log, dropping) == Success(("echo 1", large, "echo 2", "echo 3"))
        assert any("is damaged" in record.message for record in caplog.records)
        await client.close()

    with caplog.at_level(logging.INFO, "ipcfold"):
        run(test())
    assert any("one broker keeps it" in record.message for record in caplog.records)


def test_a_carry_that_does_not_encode_is_told_to_the_operator(shared_broker: Broker, name: Name, caplog: pytest.LogCaptureFixture) -> None:
    def unwritable(carry: Log) -> bytes:
        raise ValueError("too odd")

    async def test() -> None:
        nats = NATS(shared_broker.url)
        task = nats.listen(name)(EMPTY, log, snapshots=Snapshots.of(unwritable, lambda _: EMPTY))
        async with serving(nats, name, task=task) as server, (await nats.get(name)).unwrap() as process:
            assert await process.ask(PING) == Success(PONG)
            server.cancel()
            assert await server == Success(("ping",))

    run(test())
    assert any("too odd" in record.message for record in caplog.records)


def test_a_changed_handler_is_noticed_and_can_be_adopted(shared_broker: Broker, name: Name) -> None:
    def shout(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return continuation.respond((*carry, "loud"), Message.text("PONG"))

    async def test() -> None:
        nats = NATS(shared_broker.url)
        async with serving(nats, name) as server, (await nats.get(name)).unwrap() as process:
            assert await process.ask(PING) == Success(PONG)
            server.cancel()
            await server
        failed = (await nats.listen(name)(EMPTY, shout)).failure()
        assert isinstance(failed, LogFailed)
        assert "another way" in str(failed)
        task = nats.listen(name).adopting()(EMPTY, shout)
        async with serving(nats, name, task=task) as server, (await nats.get(name)).unwrap() as process:
            assert await process.ask(PING) == Success(Message.text("PONG"))
            server.cancel()
            assert await server == Success(("loud", "loud"))
        async with serving(nats, name, shout) as server:
            server.cancel()
            assert await server == Success(("loud", "loud"))

    run(test())
