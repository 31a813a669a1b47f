"""Real clients are told messages, and get late answers. What they do costs no other client anything."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from returns.result import Failure, Result, Success

from ipcfold import IPC, Continuation, HandlerFailed, Limits, ListenError, Message, Name, Peer
from ipcfold.accelerator import accelerated, fast
from ipcfold.effects import Ticket
from tests.shells.support import PATIENCE
from tests.shells.wire import RECEIVED, Wire

State = tuple[tuple[Peer, ...], tuple[Ticket, ...]]
NAME = Name("effects")
START: State = ((), ())


@pytest.fixture(params=[True, False] if accelerated else [False], ids=lambda used: "accelerated" if used else "python")
def built(request: pytest.FixtureRequest) -> Iterator[None]:
    """With the accelerator, where it is built, and without it."""
    before = fast.enable(request.param) if accelerated else False
    yield
    if accelerated:
        fast.enable(before)


def hub(message: Message, continuation: Continuation[State], carry: State) -> Continuation[State]:
    """Subscribers are told the news. The answer to a question comes with the next `answer`."""
    subscribers, tickets = carry
    verb, _, rest = message.content.partition(b" ")
    match verb:
        case b"subscribe":
            return continuation.respond(((*subscribers, continuation.peer), tickets), Message.text("subscribed"))
        case b"news":
            for peer in subscribers:
                continuation = continuation.tell(carry, peer, Message.octets(rest))
            return continuation.respond(carry, Message.text(str(len(subscribers))))
        case b"question":
            deferred = continuation.defer((subscribers, (*tickets, continuation.ticket)))
            return deferred.tell(deferred.carry, subscribers[0], Message.octets(rest)) if subscribers else deferred
        case b"wrong":
            return continuation.tell(carry, Peer(), message)
        case b"answer":
            return continuation.answer((subscribers, tickets[1:]), tickets[0], Message.octets(rest))
        case b"stop":
            return continuation.stop(carry)
        case _:
            return continuation.respond(carry, message)


def left(peer: Peer, continuation: Continuation[State], carry: State) -> Continuation[State]:
    return continuation.continue_((tuple(each for each in carry[0] if each != peer), carry[1]))


@contextmanager
def serving(directory: Path, limits: Limits | None = None, start: State = START) -> Iterator[list[Result[State, ListenError[State]]]]:
    results = list[Result[State, ListenError[State]]]()
    thread = threading.Thread(target=lambda: results.append(IPC(directory, limits=limits or Limits()).listen(NAME)(start, hub, left)))
    thread.start()
    try:
        yield results
    finally:
        IPC(directory).get(NAME).map(lambda process: process.send(Message.text("stop")))
        thread.join(PATIENCE)


@pytest.mark.usefixtures("built")
def test_subscribers_are_told_in_order_what_others_publish(directory: Path) -> None:
    ipc = IPC(directory)
    with serving(directory), ipc.wait(NAME).unwrap() as publisher:
        subscribers = [ipc.wait(NAME).unwrap() for _ in range(20)]
        for each in subscribers:
            assert each.ask(Message.text("subscribe")) == Success(Message.text("subscribed"))
        for number in range(50):
            assert publisher.ask(Message.text(f"news {number}")) == Success(Message.text("20"))
        for each in subscribers:
            assert each.ask(Message.text("mine")) == Success(Message.text("mine"))  # the news do not answer it
            assert [each.wait().unwrap() for _ in range(50)] == [Message.octets(b"%d" % number) for number in range(50)]
            each.close()


@pytest.mark.usefixtures("built")
def test_an_answer_that_comes_later_reaches_the_ask_that_waits_for_it(directory: Path) -> None:
    ipc = IPC(directory)

    def work() -> None:
        with ipc.get(NAME).unwrap() as worker:
            worker.ask(Message.text("subscribe"))
            ready.set()
            for _ in range(100):
                job = worker.wait().unwrap()
                worker.send(Message(job.media_type, b"answer " + job.content))

    with serving(directory), ipc.wait(NAME).unwrap() as client, ipc.wait(NAME).unwrap() as other:
        ready, thread = threading.Event(), threading.Thread(target=work)
        thread.start()
        ready.wait(PATIENCE)
        for number in range(50):
            assert client.ask(Message.text(f"question {number}")) == Success(Message.octets(b"%d" % number))
            assert other.send(Message.text(f"question {number}")) == Success(other)
            assert other.ask(Message.text("plain")) == Success(Message.text("plain"))
        assert [other.wait().unwrap() for _ in range(50)] == [Message.octets(b"%d" % number) for number in range(50)]
        thread.join(PATIENCE)


@pytest.mark.usefixtures("built")
def test_a_subscriber_that_reads_nothing_is_dropped_and_nobody_waits_for_it(directory: Path) -> None:
    ipc, news = IPC(directory), Message.octets(b"news " + b"x" * 60_000)
    with serving(directory, Limits(unsent=200_000)) as results, ipc.wait(NAME).unwrap() as publisher, Wire.talking(directory, NAME) as slow:
        slow.write("subscribe").expect(RECEIVED, "subscribed")
        with ipc.get(NAME).unwrap() as quick:
            quick.ask(Message.text("subscribe"))
            told, counts = 0, list[bytes]()
            while counts[-1:] != [b"1"]:  # until the slow one has left
                counts.append(publisher.ask(news).unwrap().content)
                assert quick.wait().unwrap().content == news.content[5:]
                told += 1
        assert counts == [b"2"] * (told - 1) + [b"1"]
    (result,) = results
    assert result == Success(START)


@pytest.mark.usefixtures("built")
def test_a_wrong_effect_ends_the_server_with_its_carry(directory: Path) -> None:
    with serving(directory) as results, IPC(directory).wait(NAME).unwrap() as client:
        client.ask(Message.text("subscribe"))
        assert isinstance(client.ask(Message.text("wrong")), Failure)
    (result,) = results
    failed = result.failure()
    assert isinstance(failed, HandlerFailed)
    assert len(failed.carry[0]) == 1
    assert "is no client of this server" in str(failed)


@pytest.mark.usefixtures("built")
def test_a_ticket_of_a_server_before_a_restart_never_answers_the_message_with_its_number(directory: Path) -> None:
    ipc, question = IPC(directory), Message.text("question one")
    with serving(directory) as results, ipc.wait(NAME).unwrap() as client:
        client.send(question, Message.text("stop"))
    kept = results[0].unwrap()
    with serving(directory, start=kept) as results, ipc.wait(NAME).unwrap() as client:
        client.send(question, Message.text("answer one"))  # this process is again the first client, and this again its first message
        assert isinstance(client.wait(), Failure)
    failed = results[0].failure()
    assert isinstance(failed, HandlerFailed)
    old, new = failed.carry[1]
    assert (old.peer, old.number) == (new.peer, new.number)
    assert f"{old} is not open" in str(failed)


@pytest.mark.usefixtures("built")
def test_all_peers_of_a_server_are_of_one_run(directory: Path) -> None:
    with serving(directory) as results:
        for number in range(3):
            with IPC(directory).wait(NAME).unwrap() as client:
                client.send(Message.text("question"), *[Message.text("stop")] * (number == 2))
    (run,) = {ticket.peer.run for ticket in results[0].unwrap()[1]}
    assert run > 0


@pytest.mark.usefixtures("built")
def test_a_peer_of_a_server_before_a_restart_is_never_told_what_is_for_a_client_of_this_one(directory: Path) -> None:
    ipc = IPC(directory)
    with serving(directory) as results, ipc.wait(NAME).unwrap() as client:
        client.send(Message.text("question one"), Message.text("stop"))
    (old,) = [ticket.peer for ticket in results[0].unwrap()[1]]
    with serving(directory, start=((old,), ())) as results, ipc.wait(NAME).unwrap() as client:  # again the first client
        assert isinstance(client.ask(Message.text("news one")), Failure)
    failed = results[0].failure()
    assert isinstance(failed, HandlerFailed)
    assert f"{old} is no client of this server" in str(failed)


@pytest.mark.usefixtures("built")
def test_a_client_that_knows_no_marks_sees_one_parameter_more(directory: Path) -> None:
    with serving(directory), IPC(directory).wait(NAME).unwrap() as publisher, Wire.talking(directory, NAME) as old:
        old.write("subscribe").expect(RECEIVED, "subscribed")
        publisher.send(Message.text("news one"))
        old.write("question two").expect("one", RECEIVED, "two")
        publisher.send(Message.text("answer three"))
        old.expect("three")
