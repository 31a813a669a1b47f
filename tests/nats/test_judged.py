"""What the fold over a stream makes of answers: it takes what was rescued, knows the clients of its run alone, and is fair to all."""

import asyncio
from typing import Any

import pytest

from ipcfold import Continuation, HandlerFailed, Limits, Message, Name, Peer
from ipcfold.core.functions import Handlers
from ipcfold.core.wire import encode as frame_of
from ipcfold.events import Ending, Reported, Survived
from ipcfold.handlers import rescue, rescue_left, rescue_woken
from ipcfold.nats.aio import NATS
from ipcfold.nats.entries import Burst, Bye, Check, Hello, Lead, OfClient, OfServer, Rang
from ipcfold.nats.replica import Replica
from ipcfold.nats.snapshot import decode
from ipcfold.nats.snapshot import encode as encode_snapshot
from tests.nats.broker import Broker
from tests.nats.support import run, serving, standing_by
from tests.nats.world import NAME, TERM, Client, Log, Server, Stream, log
from tests.shells.support import PING

ANOTHER_RUN = 5
LIMITS = Limits(message=1000)


def tell_another_run(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    peer = continuation.peer
    return continuation.tell((*carry, "told"), Peer(peer.connection, run=ANOTHER_RUN), message)


def pair(handlers: Handlers[Log]) -> tuple[Stream, Server, Client]:
    stream = Stream()
    stream.lead(Lead("leader", 0))
    return stream, Server(stream, LIMITS, handlers=handlers), Client(stream, "s1", LIMITS)


def talk(server: Server, client: Client, *texts: str) -> None:
    client.caller.send(frame_of(Message.text(text)) for text in texts)
    client.publish()
    server.run()
    for _, data in server.outgoing():
        client.take(data)


def restored(server: Server) -> Server:
    """A server that begins with a snapshot of this one."""
    known = server.replica.known
    assert known is not None
    decoded = decode(encode_snapshot(known, PING))
    assert decoded is not None
    other = Server(server.stream, LIMITS, handlers=server.handlers)
    other.replica.restore(decoded[0], server.replica.carry)
    return other


@pytest.mark.parametrize("text", ["fail at once", "wrong"])
def test_what_is_rescued_is_answered_and_counts_as_the_answer(text: str) -> None:
    stream, server, client = pair(Handlers(rescue(log, Message.text("sorry"))))
    talk(server, client, "echo 1", text, "echo 2")
    assert client.unread() == ["echo 1", "sorry", "echo 2"]
    assert client.caller.acknowledged == 3
    assert server.replica.carry == ("1: echo 1", "1: echo 2")
    place = server.replica.digests.place
    assert place is not None
    stream.lead(Check(TERM, *place))
    same = Server(stream, LIMITS, handlers=server.handlers).run()
    assert (same.replica.over, same.replica.carry, same.replica.digests.diverged) == (None, server.replica.carry, None)
    changed = Server(stream, LIMITS, handlers=Handlers(rescue(log, Message.text("sorry for that")))).run()
    assert (changed.replica.carry, changed.replica.digests.diverged) == (server.replica.carry, place[0])


def test_what_cannot_be_excused_closes_the_session() -> None:
    _, server, client = pair(Handlers(rescue(log, Message.octets(bytes(2**20)))))
    talk(server, client, "echo 1", "fail at once")
    assert client.unread() == ["echo 1"]
    assert client.caller.ended is not None
    assert (server.replica.carry, server.replica.over, server.replica.sessions.open) == (("1: echo 1",), None, ())


def test_other_functions_are_rescued_too() -> None:
    def fail(*_: object) -> Continuation[Any]:
        raise ValueError("too odd")

    events = list[Reported]()
    handlers = Handlers(log, rescue_left(fail), rescue_woken(fail))
    replica = Replica[Log](NAME, (), handlers, Limits(), report=events.append)
    entries = list[OfClient | OfServer]()
    entries += [Lead("leader", 0), Hello("_INBOX.s1"), Burst(1, 1, frame_of(Message.text("defer 1"))), Rang(TERM, 3), Bye(1, "_INBOX.s1")]
    for at, entry in enumerate(entries, 1):
        replica.take(at, 10.0 * at, entry, "s1")
        while (asked := replica.ask()) is not None:
            replica.answered(handlers(*asked))
    survived = [event for event in events if isinstance(event, Survived)]
    assert [type(event.what).__name__ for event in survived] == ["Woken", "Left"]
    assert {str(event.error) for event in survived} == {"too odd"}
    assert (replica.carry, replica.over) == (("1: defer 1",), None)


def test_a_client_of_another_run_is_told_nothing() -> None:
    stream, server, client = pair(Handlers(tell_another_run))
    talk(server, client, "echo")
    assert server.replica.over is Ending.FAILED
    assert isinstance(server.replica.failure, HandlerFailed)
    assert "no client of this server" in str(server.replica.failure.error)
    _, server, client = pair(Handlers(rescue(tell_another_run, Message.text("sorry"))))
    talk(server, client, "echo")
    assert client.unread() == ["sorry"]
    assert server.replica.carry == ()
    assert stream.entries


def test_all_servers_of_a_stream_are_one_run_also_after_a_snapshot() -> None:
    seen = list[Peer]()

    def tell(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        seen.append(continuation.peer)
        return continuation.tell(carry, Peer(1, run=seen[0].run), message)

    _, server, client = pair(Handlers(tell))
    talk(server, client, "one")
    later = restored(server)
    talk(later, client, "two")
    assert [(peer.connection, peer.run) for peer in seen] == [(1, 1_000_250_000)] * 2
    assert client.unread() == ["one", "two"]


def test_an_alarm_that_is_always_due_keeps_nobody_from_the_handler() -> None:
    def again(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return continuation.respond((*carry, "asked"), message).wake((*carry, "asked"), continuation.now)

    def woken(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return continuation.wake((*carry, "rang"), continuation.now)

    stream, server, client = pair(Handlers(again, woken=woken))
    talk(server, client, "one")
    for _ in range(3):  # a leader that is impatient; each of them could ring
        stream.lead(Rang(TERM, server.replica.at))
    later = Server(stream, LIMITS, handlers=server.handlers)
    talk(server, client, "two")
    assert server.replica.carry == ("asked", "rang", "asked")
    stream.lead(Rang(TERM, server.replica.rang - 1))  # it was written before the last alarm was folded
    same = restored(server)
    stream.lead(Rang(TERM, server.replica.at))
    for each in (server, later, same):
        assert each.run().replica.carry == ("asked", "rang", "asked", "rang")
        assert each.replica.rang == len(stream.entries)


def test_clients_are_answered_while_an_alarm_rings_again_and_again(shared_broker: Broker, name: Name) -> None:
    rung = 0

    def again(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        return continuation.respond(carry + 1, message).wake(carry + 1, 0.0)

    async def woken(continuation: Continuation[int], carry: int) -> Continuation[int]:
        nonlocal rung
        rung += 1
        return continuation.wake(carry, 0.0)

    async def test() -> None:
        nats = NATS(shared_broker.url)
        task = nats.listen(name)(0, again, None, woken)
        async with serving(nats, name, task=task) as server, (await nats.get(name)).unwrap() as process:
            asked = 0
            while rung < 20:
                (await process.ask(PING)).unwrap()
                asked += 1
            server.cancel()
            assert (await server).unwrap() == asked

    run(test())


def test_a_handler_that_is_awaited_is_rescued_on_each_server(shared_broker: Broker, name: Name) -> None:
    async def fail(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        match message.content:
            case b"raise":
                raise ValueError("too odd")
            case b"large":
                return continuation.respond(carry + 1, Message.octets(bytes(2**24)))
            case _:
                return continuation.respond(carry + 1, message)

    async def test() -> None:
        nats = NATS(shared_broker.url, limits=Limits(message=2**20))
        handler = rescue(fail, lambda error: Message.text(type(error).__name__))
        task = nats.listen(name)(0, handler)
        async with serving(nats, name, task=task) as leader:
            standby = asyncio.create_task(nats.listen(name)(0, handler))
            await standing_by(shared_broker.url, name)
            async with (await nats.get(name)).unwrap() as process:
                for text, answer in (("raise", "ValueError"), ("ping", "ping"), ("large", "RefusedError"), ("ping", "ping")):
                    assert (await process.ask(Message.text(text))).unwrap() == Message.text(answer)
                leader.cancel()
                assert (await leader).unwrap() == 2
                assert (await process.ask(PING)).unwrap() == PING
            standby.cancel()
            assert (await standby).unwrap() == 3

    run(test())


def test_the_log_says_which_function_was_rescued(shared_broker: Broker, name: Name, caplog: pytest.LogCaptureFixture) -> None:
    rung = 0

    def begin(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        return continuation.respond(carry, message).wake(carry, 0.0)

    def fail(continuation: Continuation[int], carry: int) -> Continuation[int]:
        nonlocal rung
        rung += 1
        raise ValueError("too odd")

    async def test() -> None:
        nats = NATS(shared_broker.url)
        task = nats.listen(name)(0, begin, None, rescue_woken(fail))
        async with serving(nats, name, task=task) as server, (await nats.get(name)).unwrap() as process:
            while not rung:
                (await process.ask(PING)).unwrap()
            server.cancel()
            assert (await server).unwrap() == 0

    run(test())
    assert f"{name} goes on with the carry before, but its woken failed: mend that function" in caplog.messages
