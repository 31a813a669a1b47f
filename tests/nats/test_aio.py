"""The asyncio shell over a real broker."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from returns.maybe import Nothing
from returns.result import Failure, Success

from ipcfold import Continuation, Limits, Message, MessageTooLarge, Name, Peer, ProcessClosed, ReservedMessage, TimedOut
from ipcfold.errors import ConnectionClosed, HandlerFailed, InUse, UnreadExceeded, UsedAfterFork
from ipcfold.events import Connected, Departure, Disconnected, Event, Folded, Listening
from ipcfold.nats import BrokerUnreachable, HandlerRaised, NobodyListens, Unacknowledged
from ipcfold.nats.aio import NATS, Process
from ipcfold.nats.broker import Broker as Connection
from ipcfold.nats.broker import Unanswered
from ipcfold.nats.client import connected
from ipcfold.nats.finding import listens
from ipcfold.nats.subjects import Subjects
from tests.nats.broker import Broker
from tests.nats.support import log, run, serving
from tests.shells.handlers import EMPTY, Log
from tests.shells.support import PATIENCE, PING, PONG


def test_a_client_asks_sends_waits_and_closes(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url)
        assert await nats.get(name) == Failure(NobodyListens(name, shared_broker.url))
        assert await nats.exists(name) == Success(False)
        async with serving(nats, name) as server, (await nats.get(name)).unwrap() as process:
            assert await nats.exists(name) == Success(True)
            assert name in (await nats.processes()).unwrap()
            assert await process.ask(PING) == Success(PONG)
            assert await process.send(PING, Message.text("quiet"), Message.text("many 2")) == Success(process)
            assert [await process.wait() for _ in range(3)] == [Success(each) for each in (PONG, Message.text("0"), Message.text("1"))]
            late = await process.wait(0.05)
            assert late == Failure(TimedOut(name, 0.05, "a response of"))
            assert await process.send() == Success(process)
            assert (process.name, process.peer, process.closed) == (name, Peer(), False)
            assert await process.close() == Success(None)
            assert process.closed
            server.cancel()
            assert await server == Success(("ping", "ping", "quiet", "many 2"))
        assert await nats.exists(name) == Success(False)

    run(test())


def test_many_tasks_share_a_session(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url)
        async with serving(nats, name), (await nats.get(name)).unwrap() as process:
            texts = [f"echo {number}" for number in range(200)]
            answers = await asyncio.gather(*(process.ask(Message.text(text)) for text in texts))
            assert answers == [Success(Message.text(text)) for text in texts]
            waiting = [asyncio.create_task(process.wait()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            assert await process.send(Message.text("many 2")) == Success(process)
            assert {(await task).unwrap().content for task in waiting[1:]} == {b"0", b"1"}

    run(test())


def test_a_message_of_any_size_arrives_whole(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url)
        async with serving(nats, name), (await nats.get(name)).unwrap() as process:
            for size in (0, 70_000, 131_072, 1_048_576, 3_000_000):
                message = Message.text("echo " + "x" * size)
                assert await process.ask(message) == Success(message)
            assert await process.send(*[Message.text("large 200000")] * 30) == Success(process)
            for _ in range(30):
                assert await process.wait() == Success(Message.octets(b"x" * 200_000))

    run(test())


def test_messages_that_may_not_be_sent_are_refused_whole(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url, limits=Limits(message=10))
        async with serving(nats, name) as server, (await nats.get(name)).unwrap() as process:
            signal, large = Message.text("innmind/ipc:heartbeat"), Message.text("x" * 11)
            assert await process.send(PING, signal) == Failure(ReservedMessage(signal))
            assert await process.ask(large) == Failure(MessageTooLarge(11, 10))
            with pytest.raises(TypeError, match="Message"):
                await process.send("text")  # type: ignore[arg-type]  # what this test is about
            server.cancel()
            assert await server == Success(EMPTY)

    run(test())


def test_the_handler_can_close_a_session_and_stop_all_servers(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url)
        async with serving(nats, name) as first, serving(nats, name) as second:
            async with (await nats.get(name)).unwrap() as process:
                sent = await process.send(Message.text("close"), PING)
                assert sent == Failure(Unacknowledged(1, 2, ConnectionClosed(name)))
                assert "1 of 2" in str(sent.failure())
                assert await process.wait() == Success(Message.text("closing"))
                assert await process.wait() == Failure(ConnectionClosed(name))
                assert await process.ask(PING) == Failure(Unacknowledged(0, 1, ConnectionClosed(name)))
            async with (await nats.get(name)).unwrap() as process:
                assert await process.ask(Message.text("stop-now")) == Success(Message.text("bye"))
                assert await process.close() == Success(None)
            assert await first == await second == Success(("close", "stop-now"))

    run(test())


def test_a_failing_handler_tells_its_asker_and_keeps_the_message(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url)
        async with serving(nats, name) as server, (await nats.get(name)).unwrap() as process:
            assert await process.ask(PING) == Success(PONG)
            asked = await process.ask(Message.text("raise"))
            raised = HandlerRaised(name, "KeyError: 'raise'")
            assert asked == Failure(Unacknowledged(0, 1, raised))
            assert "fix the handler" in str(raised)
            failed = (await server).failure()
            assert isinstance(failed, HandlerFailed)
            assert failed.carry == ("ping",)
        result = await nats.listen(name)(EMPTY, log)  # the message is still there
        assert isinstance(result.failure(), HandlerFailed)

        def mended(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            return continuation.respond((*carry, message.content.decode()), PONG)

        async with serving(nats, name, mended) as server, (await nats.get(name)).unwrap() as process:
            assert await process.ask(PING) == Success(PONG)
            server.cancel()
            assert await server == Success(("ping", "raise", "ping"))

    run(test())


def test_an_async_handler_is_cancelled_with_its_server(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats, called = NATS(shared_broker.url), asyncio.Event()

        async def handle(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            if message == PING:
                called.set()
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            return log(message, continuation, carry)

        async with serving(nats, name, handle) as server, (await nats.get(name)).unwrap() as process:
            assert await process.ask(Message.text("echo 1")) == Success(Message.text("echo 1"))
            asking = asyncio.create_task(process.ask(PING))
            await called.wait()
            server.cancel()
            assert await server == Success(("echo 1",))
            async with serving(nats, name) as second:
                assert await asking == Success(PONG)
                second.cancel()
                assert await second == Success(("echo 1", "ping"))

    run(test())


def test_an_interrupt_of_the_handler_ends_its_server(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url)
        async with serving(nats, name) as server, (await nats.get(name)).unwrap() as process:
            asking = asyncio.create_task(process.ask(Message.text("interrupt")))
            assert await server == Success(EMPTY)
            asking.cancel()

    run(test())


def test_a_server_tells_defers_and_wakes(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url)

        def woken(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            return continuation.tell((*carry, "woken"), Peer(2), Message.text("wake up"))

        async with serving(nats, name, woken=woken) as server, (await nats.get(name)).unwrap() as process:
            assert await process.send(Message.text("tell secret"), Message.text("wake 0.01")) == Success(process)
            assert await process.wait() == Success(Message.text("secret"))
            assert await process.wait() == Success(Message.text("wake up"))
            server.cancel()
            assert await server == Success(("tell secret", "wake 0.01", "woken"))

    run(test())


def test_departures_are_folded_at_the_same_place_by_all_servers(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url, absent=0.05)

        def told(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            return continuation.respond((*carry, message.content.decode()), Message.text(" ".join(carry)))

        def left(peer: Peer, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            return continuation.continue_((*carry, f"{peer.connection} left"))

        async with serving(nats, name, told, left=left) as first, serving(nats, name, told, left=left) as second:
            process = (await nats.get(name)).unwrap()
            assert await process.send(Message.text("one")) == Success(process)
            assert await process.close() == Success(None)
            lost = (await nats.get(name)).unwrap()
            assert await lost.send(Message.text("two")) == Success(lost)
            await lost._client._link.broker.close()  # noqa: SLF001 - as if its process died
            async with (await nats.get(name)).unwrap() as observer:
                while b"4 left" not in (await observer.ask(PING)).unwrap().content:
                    await asyncio.sleep(0)
                assert await observer.ask(Message.text("end")) != Success(PING)
            carries = set[Log]()
            for server in (second, first):
                server.cancel()
                carries.add((await server).unwrap()[:6])
            assert {tuple(line for line in carry if line != "ping") for carry in carries} == {("1 left", "2 left", "one", "3 left", "two")}

    run(test())


def test_an_observer_hears_what_the_leader_does(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        events = list[Event]()
        nats = NATS(shared_broker.url, observe=events.append)
        async with serving(nats, name), serving(NATS(shared_broker.url, observe=None), name), (await nats.get(name)).unwrap() as process:
            assert await process.ask(PING) == Success(PONG)
            await process.close()
        assert events[0] == Listening(name)
        last = [event for event in events if getattr(event, "peer", None) == Peer(3)]
        assert [type(event) for event in last] == [Connected, Folded, Disconnected]
        assert last[2] == Disconnected(name, Peer(3), Departure.CLOSED)

    run(test())


def test_an_observer_that_raises_harms_nothing(shared_broker: Broker, name: Name, caplog: pytest.LogCaptureFixture) -> None:
    def observe(event: Event) -> None:
        raise KeyError(type(event))

    async def test() -> None:
        nats = NATS(shared_broker.url, observe=observe)
        async with serving(nats, name), (await nats.get(name)).unwrap() as process:
            assert await process.ask(PING) == Success(PONG)

    run(test())
    assert any("the observer" in record.message for record in caplog.records)


def test_a_server_that_gets_no_message_in_time_ends_with_its_carry(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url)
        async with serving(nats, name, timeout=1.0) as server, (await nats.get(name)).unwrap() as process:
            assert await process.ask(PING) == Success(PONG)
            assert await process.wait() == Failure(ConnectionClosed(name))
            assert await server == Success(("ping",))

    run(test())


def test_every_verb_says_that_the_session_is_closed(shared_broker: Broker, name: Name) -> None:
    async def test() -> Process:
        nats = NATS(shared_broker.url)
        async with serving(nats, name):
            process = (await nats.get(name)).unwrap()
            waiting = asyncio.create_task(process.wait())
            await asyncio.sleep(0)
            assert await process.close() == Success(None)
            closed = Failure(ProcessClosed(name))
            assert [await waiting, await process.send(PING), await process.ask(PING), await process.wait()] == [closed] * 4
            assert await process.close() == Success(None)
            assert "closed" in repr(process)
            with pytest.raises(TypeError, match="pickled"):
                process.__reduce__()
            return process

    async def elsewhere(process: Process) -> None:
        in_use = Failure(InUse(process.name))
        assert [await process.send(PING), await process.ask(PING), await process.wait(), await process.close()] == [in_use] * 4

    run(elsewhere(run(test())))


def test_verbs_that_wait_end_with_their_session(own_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(own_broker.url, limits=Limits(drain=0.1))
        async with serving(nats, name):
            process = (await nats.get(name)).unwrap()
            assert process.epoch != Nothing
            own_broker.pause()
            waiting = [asyncio.create_task(verb) for verb in (process.send(PING), process.ask(PING))]
            await asyncio.sleep(0)
            assert await process.close() == Failure(TimedOut(name, 0.1, "the confirmation to close of"))
            assert [await each for each in waiting] == [Failure(ProcessClosed(name))] * 2
            own_broker.go_on()

    run(test())


def test_ask_tells_a_session_that_closed_without_a_response(shared_broker: Broker, name: Name) -> None:
    def close(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        return continuation.close(carry)

    async def test() -> None:
        nats = NATS(shared_broker.url)
        async with serving(nats, name, close), (await nats.get(name)).unwrap() as process:
            assert await process.ask(PING, PATIENCE) == Failure(ConnectionClosed(name))

    run(test())


def test_a_session_of_a_loop_belongs_to_the_process_that_made_it(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url)
        async with serving(nats, name), (await nats.get(name)).unwrap() as process:
            process._client.owner = 1  # noqa: SLF001 - a fork beside the threads of the tests could hang
            forked = Failure(UsedAfterFork(name, 1))
            assert [await process.send(PING), await process.ask(PING), await process.wait(), await process.close()] == [forked] * 4
            process._client.owner = os.getpid()  # noqa: SLF001 - as above

    run(test())


def test_a_session_begins_with_an_answer_of_a_server_or_with_an_error(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        address = NATS(shared_broker.url).address
        one = (await Connection.open(address, PATIENCE)).unwrap()
        other = (await Connection.open(address, PATIENCE)).unwrap()

        async def deaf(msg: object) -> None:
            """As a server does that is stopped."""

        await other.subscribe(Subjects(name).find, deaf)
        assert await other.request(Subjects(name).find, b"", 0.01) == Failure(Unanswered.LATE)  # now the broker knows of it
        late = await connected(one, name, "_INBOX", Limits(), 1.0, 0.01)
        assert late == Failure(TimedOut(name, 0.01, "an answer of"))
        await one.close()
        await other.close()
        lost = await connected(one, name, "_INBOX", Limits(), 1.0, PATIENCE)
        assert isinstance(lost.failure(), BrokerUnreachable)
        assert isinstance((await listens(one, name)).failure(), BrokerUnreachable)

    run(test())


def test_unread_responses_are_bounded(shared_broker: Broker, name: Name) -> None:
    async def test() -> None:
        nats = NATS(shared_broker.url, limits=Limits(unread=10_000))
        async with serving(nats, name), (await nats.get(name)).unwrap() as process:
            failed = (await process.send(*[Message.text("large 1000")] * 100)).failure()
            assert isinstance(failed, Unacknowledged)
            assert failed.reason == UnreadExceeded(name, 10_000)

    run(test())


def test_a_broker_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        nats = NATS("nats://user:secret@127.0.0.1:1", limits=Limits(handshake=PATIENCE))
        for result in (
            await nats.get(Name("a")),
            await nats.exists(Name("a")),
            await nats.processes(),
            await nats.listen(Name("a"))(EMPTY, log),
        ):
            error: Any = result.failure()
            assert isinstance(error, BrokerUnreachable)
            assert error.place == "nats://127.0.0.1:1"
        assert isinstance((await nats.wait(Name("a"), 0.2)).failure(), BrokerUnreachable)

    run(test())
