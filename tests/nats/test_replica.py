"""What a server makes of the entries of its stream, and what its clients get."""

from typing import Any

import pytest

from ipcfold import Continuation, HandlerFailed, Limits, Message, Peer
from ipcfold.core.functions import Handlers
from ipcfold.core.wire import encode as frame_of
from ipcfold.errors import ConnectionClosed, ConnectionLost, ProtocolBroken
from ipcfold.events import Connected, Departure, Disconnected, Ending, Folded, Reported, Stopping
from ipcfold.nats.entries import Burst, Bye, Gone, Hello, Lead, Over, Part, Rang, Sync, encode
from ipcfold.nats.replica import UNREAD, Replica
from ipcfold.nats.sessions import FORGOTTEN
from tests.nats.world import HANDLERS, NAME, TERM, Client, Server, Stream, log


def talk(server: Server, client: Client) -> None:
    """Deliver everything, until nothing is left."""
    for _ in range(4):
        client.publish()
        server.run()
        for session, data in server.outgoing():
            if session == client.session:
                client.take(data)


def pair(limits: Limits | None = None) -> tuple[Stream, Server, Client]:
    stream = Stream()
    stream.lead(Lead("leader", 0))
    return stream, Server(stream, limits), Client(stream, "s1", limits)


def send(client: Client, *texts: str) -> None:
    client.caller.send(frame_of(Message.text(text)) for text in texts)


def test_a_client_that_the_handler_closes_gets_everything_before_that() -> None:
    _, server, client = pair()
    send(client, "echo 1", "close", "echo 2")
    talk(server, client)
    assert client.unread() == ["echo 1", "close"]
    assert client.caller.epoch == 1_000_250_000_000
    assert (client.caller.acknowledged, client.caller.ended) == (2, ConnectionClosed(NAME))
    assert server.replica.carry == ("1: echo 1", "1: close", "1 left")


def test_a_stop_ends_all_servers_and_all_sessions() -> None:
    stream, server, client = pair()
    other = Client(stream, "s2")
    send(client, "stop", "echo 1")
    talk(server, client)
    assert server.replica.over is Ending.STOPPED
    assert server.replica.carry == ("1: stop", "1 left", "2 left")
    assert not server.replica.sessions.open
    follower = Server(stream).run()
    assert (follower.replica.over, follower.replica.carry) == (Ending.STOPPED, server.replica.carry)
    send(other, "echo 2")
    other.publish()
    later = Server(stream, passes=len(stream.entries)).run()  # it goes on after the end of those
    assert (later.replica.over, later.replica.carry) == (None, server.replica.carry)
    third = Client(stream, "s3")
    send(third, "echo 3")
    talk(later, third)
    assert third.unread() == ["echo 3"]
    assert later.replica.carry == ("1: stop", "1 left", "2 left", "3: echo 3")


def test_the_last_server_that_ends_dismisses_all_clients() -> None:
    stream, server, client = pair()
    talk(server, client)
    stream.lead(Over(0))  # of another term
    stream.lead(Over(TERM))
    talk(server, client)
    assert (server.replica.over, server.replica.carry) == (Ending.SIGNALLED, ("1 left",))
    assert client.caller.ended == ConnectionClosed(NAME)


@pytest.mark.parametrize("text", ["fail at once", "wrong"])
def test_a_failure_keeps_the_carry_and_the_message(text: str) -> None:
    stream, server, client = pair(Limits(message=1000))
    send(client, "echo 1", text, "echo 2")
    talk(server, client)
    replica = server.replica
    assert replica.over is Ending.FAILED
    assert isinstance(replica.failure, HandlerFailed)
    assert replica.failure.carry == replica.carry == ("1: echo 1",)
    assert replica.failed_for is not None
    assert (replica.failed_for[0].identifier, replica.failed_for[1]) == ("s1", 2)
    mended = Server(stream, handlers=Handlers(lambda _, continuation, carry: continuation.continue_((*carry, "mended")))).run()
    assert mended.replica.carry == ("mended",) * 3


def test_a_failure_of_a_departure_tells_no_client() -> None:
    def fail(peer: Peer, continuation: Continuation[Any], carry: Any) -> Continuation[Any]:
        raise ValueError

    stream = Stream()
    server = Server(stream, handlers=Handlers(log, fail))
    client = Client(stream, "s1")
    talk(server, client)
    stream.write("s1", encode(Bye(client.caller.got, "_INBOX.s1")))
    server.run()
    assert (server.replica.over, server.replica.failed_for) == (Ending.FAILED, None)


def test_an_interrupted_handler_leaves_its_message_in_the_stream() -> None:
    stream, server, client = pair()
    send(client, "echo 1")
    client.publish()
    replica = server.replica
    server.step()
    server.step()
    replica.take(3, 2000.0, Burst(1, 0, frame_of(Message.text("echo 1"))), "s1")
    asked = replica.ask()
    assert asked is not None
    assert replica.ask() == asked
    replica.interrupted()
    replica.answered(asked[1])
    replica.failed(ValueError())
    assert (replica.over, replica.carry, replica.failure) == (Ending.INTERRUPTED, (), None)
    assert replica.ask() is None
    assert Server(stream).run().replica.carry == ("1: echo 1",)


def test_a_client_that_says_goodbye_is_folded_as_gone() -> None:
    stream, server, client = pair()
    talk(server, client)
    stream.write("s1", client.caller.bye())
    talk(server, client)
    assert server.replica.carry == ("1 left",)
    assert client.caller.ended == ConnectionClosed(NAME)
    assert len(list(server.replica.sessions)) == 1  # until it confirms, or for some minutes
    stream.write("s1", client.caller.bye())
    stream.write("s1", client.caller.bye())
    server.run()
    assert not list(server.replica.sessions)


def test_a_client_that_did_not_get_the_end_can_ask_for_it() -> None:
    stream, server, client = pair()
    talk(server, client)
    stream.lead(Gone(TERM, ("s1",)))
    server.run()
    assert server.outgoing()
    assert client.caller.ended is None
    client.sync()
    talk(server, client)
    assert client.caller.ended == ProtocolBroken(NAME, "it was gone")


def test_sessions_that_are_over_are_forgotten_after_a_while() -> None:
    stream, server, _ = pair()
    server.run()
    stream.lead(Gone(TERM, ("s1",)))
    server.run()
    stream.now += FORGOTTEN + 1
    Client(stream, "s2")
    assert [session.identifier for session in server.run().replica.sessions] == ["s2"]


@pytest.mark.parametrize("bye", [True, False])
def test_a_client_whose_session_is_forgotten_is_told_so_and_changes_nothing(*, bye: bool) -> None:
    stream, server, client = pair()
    talk(server, client)
    stream.lead(Gone(TERM, ("s1",)))
    stream.now += FORGOTTEN + 1
    other = Client(stream, "s2")
    talk(server, other)
    send(client, "echo 1")
    client.publish()
    before = list(server.run().replica.sessions), server.replica.carry
    stream.write("s1", client.caller.bye() if bye else client.caller.sync())
    talk(server, client)
    assert client.caller.ended == ConnectionLost(NAME)
    assert client.caller.acknowledged == 0
    assert (list(server.replica.sessions), server.replica.carry) == before


def test_nobody_can_have_another_one_told_that_the_session_is_over() -> None:
    stream, server, _ = pair()
    stream.write("s2", encode(Sync(1, 0, "_INBOX.s1")))
    assert not server.run().replica.due.unknown


def test_a_second_hello_changes_nothing_and_is_answered_again() -> None:
    stream, server, client = pair()
    server.run()
    server.outgoing()
    stream.write("s1", encode(Hello("_INBOX.s1")))
    talk(server, client)
    assert client.caller.peer == Peer(1)


def test_messages_of_nobody_and_bytes_of_others_are_passed_over() -> None:
    stream, server, _ = pair()
    stream.write("nobody", encode(Burst(1, 0, frame_of(Message.text("echo")))))
    stream.write("s1", b"?")
    stream.write("", b"?")
    stream.write("s2", encode(Hello("_INBOX.s1")))
    assert len(list(server.run().replica.sessions)) == 1
    assert server.run().replica.carry == ()
    assert server.replica.at == len(stream.entries)


@pytest.mark.parametrize(
    "frames",
    [
        b"\0\0\0\0\0\0\0\0",
        frame_of(Message.text("echo"))[:-1],
        frame_of(Message.text("x" * 20_000))[:-1],
        frame_of(Message.text("innmind/ipc:heartbeat")),
    ],
)
def test_a_client_that_sends_no_messages_is_dropped(frames: bytes) -> None:
    stream, server, client = pair()
    talk(server, client)
    stream.write("s1", encode(Burst(1, 0, frames)))
    talk(server, client)
    assert server.replica.carry == ("1 left",)
    assert isinstance(client.caller.ended, ProtocolBroken)


def test_a_message_over_the_limit_drops_its_client() -> None:
    stream, server, client = pair(Limits(message=1000))
    talk(server, client)
    frame = frame_of(Message.octets(bytes(400_000)))
    for index in range(4):
        stream.write("s1", encode(Part(1, 0, index, False, frame[index * 100_000 :][:100_000])))
    talk(server, client)
    assert client.caller.ended == ProtocolBroken(NAME, "a message is over the limit of 1000 bytes")


def test_parts_that_do_not_follow_each_other_are_passed_over() -> None:
    stream, server, client = pair()
    frame = frame_of(Message.text("echo " + "x" * 30))
    for index, last, piece in ((1, False, b"?"), (0, False, frame[:10]), (2, True, b"?"), (0, False, frame[:10]), (1, True, frame[10:])):
        stream.write("s1", encode(Part(1, 0, index, last, piece)))
    talk(server, client)
    assert server.replica.carry == ("1: echo " + "x" * 30,)


def test_a_client_that_does_not_confirm_is_told_to_wait() -> None:
    _, server, client = pair(Limits(unsent=100))
    send(client, "echo " + "x" * 3000)
    client.publish()
    send(client, "echo 2")
    client.publish()
    server.run()
    assert list(server.replica.due.behind) == ["s1"]
    assert len(server.replica.carry) == 1
    for _, data in server.outgoing():
        client.take(data)
    client.sync()
    talk(server, client)
    assert server.replica.carry[-1] == "1: echo 2"


def test_a_client_that_reads_nothing_of_what_it_is_told_is_dropped() -> None:
    stream, server, client = pair(Limits(unsent=100))
    for number in range(4):
        stream.write("s1", encode(Burst(number + 1, 0, frame_of(Message.text(f"tell {number} " + "x" * 60)))))
    server.run()
    for _, data in server.outgoing():
        client.take(data)
    assert client.caller.ended == ProtocolBroken(NAME, UNREAD)


def test_an_observer_hears_of_clients_and_messages() -> None:
    events = list[Reported]()
    replica = Replica(NAME, (), HANDLERS, Limits(), report=events.append, observed=True)
    replica.take(1, 10.0, Hello("_INBOX.s1"), "s1")
    assert replica.ask() is None
    message = Message.text("close")
    replica.take(2, 11.0, Burst(1, 1, frame_of(message)), "s1")
    while (asked := replica.ask()) is not None:
        replica.answered(HANDLERS(*asked), 0.5)
    peer = Peer(1)
    connected, folded, disconnected = events
    assert (connected, disconnected) == (Connected(NAME, peer), Disconnected(NAME, peer, Departure.DISMISSED))
    assert isinstance(folded, Folded)
    assert (folded.message, folded.duration, folded.now) == (message, 0.5, 11.0)
    replica.take(3, 12.0, Over(0))
    assert replica.ask() is None
    assert events[3:] == [Stopping(NAME, Ending.SIGNALLED)]


def test_an_alarm_rings_when_the_stream_says_so_and_not_before() -> None:
    stream, server, client = pair()
    send(client, "defer 1")
    talk(server, client)
    stream.lead(Rang(TERM, len(stream.entries)))  # the clock of the leader is ahead
    assert server.run().replica.alarm == 1000.75 + 5.0
    stream.now += 5.0
    stream.lead(Rang(TERM, len(stream.entries)))
    assert server.run().replica.carry == ("1: defer 1", "rang")


def test_a_late_answer_and_what_is_told_arrive() -> None:
    def handle(message: Message, continuation: Continuation[Any], carry: Any) -> Continuation[Any]:
        if message.content == b"later":
            return continuation.defer(continuation.ticket)
        answered = continuation.answer(carry, carry, Message.text("late")).respond(carry, Message.text("now"))
        return answered.tell(carry, continuation.peer, Message.text("told"))

    stream = Stream()
    server = Server(stream, handlers=Handlers(handle))
    client = Client(stream, "s1")
    client.caller.asking.add(client.caller.send([frame_of(Message.text("later"))]))
    talk(server, client)
    assert not client.answers
    send(client, "now")
    talk(server, client)
    assert client.answers == {1: Message.text("late")}
    assert client.unread() == ["now", "told"]


def test_messages_that_come_again_are_folded_once_and_answered_again() -> None:
    stream, server, client = pair()
    one, two, three = (frame_of(Message.text(f"echo {number}")) for number in (1, 2, 3))
    for burst in (Burst(1, 0, one + two), Burst(1, 0, one), Burst(2, 0, two + three)):
        stream.write("s1", encode(burst))
        server.run()
        for _, data in server.outgoing():
            client.take(data)
    assert server.replica.carry == ("1: echo 1", "1: echo 2", "1: echo 3")
    assert client.unread() == ["echo 1", "echo 2", "echo 3"]


def test_messages_without_a_response_are_acknowledged_together() -> None:
    _, server, client = pair()
    send(client, "quiet 1", "quiet 2", "quiet 3")
    talk(server, client)
    assert client.caller.acknowledged == 3
    assert client.caller.got == 2  # the welcome, and one item for all three


def test_a_sync_says_how_far_the_messages_are_folded() -> None:
    stream, server, client = pair()
    send(client, "quiet 1", "quiet 2")
    client.publish(lost=True)
    stream.write("s1", encode(Sync(9, 0, "_INBOX.s1")))
    talk(server, client)  # with another token, so nothing is sent again
    assert not server.replica.carry
    client.sync()
    talk(server, client)
    assert server.replica.carry == ("1: quiet 1", "1: quiet 2")
