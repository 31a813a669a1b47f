"""The client's end of a session."""

import pytest

from ipcfold import Limits, Message, Peer
from ipcfold.core.wire import Signal
from ipcfold.core.wire import encode as frame_of
from ipcfold.errors import ConnectionClosed, ConnectionLost, ProtocolBroken, UnreadExceeded
from ipcfold.errors.brokers import HandlerRaised
from ipcfold.nats.arrivals import Answered, Arrived, Folded, Over, Resend
from ipcfold.nats.caller import BURST, LARGE, UNCONFIRMED, WINDOW, Caller
from ipcfold.nats.entries import Burst, Bye, Part, Sync, decode_client
from ipcfold.nats.items import Behind, Failed, Item, Items, Kind, Ping, State, began
from tests.nats.world import NAME

INBOX = "_INBOX.s1"
HELLO = frame_of(Message.text("hello"))


def caller(limits: Limits | None = None) -> Caller:
    return Caller(NAME, limits or Limits(), INBOX)


def test_messages_are_packed_into_bursts() -> None:
    one = caller()
    one.send([HELLO] * 10_000)
    entries = [decode_client(payload) for payload in one.outgoing()]
    assert all(isinstance(entry, Burst) and len(entry.frames) < BURST + len(HELLO) for entry in entries)
    assert len(entries) == -(-10_000 * len(HELLO) // BURST)
    assert one.inflight == 10_000 * len(HELLO)


def test_a_large_message_is_cut_into_parts_behind_what_is_before_it() -> None:
    one, frame = caller(), frame_of(Message.octets(bytes(3 * LARGE)))
    one.send([HELLO, frame, HELLO])
    first, *parts, last = [decode_client(payload) for payload in one.outgoing()]
    assert (first, last) == (Burst(1, 0, HELLO), Burst(3, 0, HELLO))
    assert b"".join(part.piece for part in parts if isinstance(part, Part)) == frame
    assert [(part.number, part.index, part.last) for part in parts if isinstance(part, Part)] == [
        (2, index, index == 3) for index in range(4)
    ]


def test_no_more_is_sent_than_the_window_allows() -> None:
    one, frame = caller(), frame_of(Message.octets(bytes(LARGE - 100)))
    one.send([frame] * 20)
    sent = len(one.outgoing())
    assert one.inflight >= WINDOW
    assert one.outgoing() == []
    assert one.receive(State(0, 1, 0)) == [Folded(1), Resend()]
    assert len(one.outgoing()) == 1
    assert one.receive(Items(1, (Item(Kind.FOLDED, sent),))) == [Folded(sent), Resend()]
    one.receive(Items(2, (Item(Kind.FOLDED, 20),)))
    assert one.idle
    one.send([frame_of(Message.octets(bytes(2 * WINDOW)))] * 2)  # each is larger than the window, and goes alone
    assert len({entry.number for entry in map(decode_client, one.outgoing()) if isinstance(entry, Part)}) == 1


def test_only_what_was_lost_is_sent_again() -> None:
    one = caller()
    one.send([HELLO])
    one.outgoing()
    assert decode_client(one.sync()) == Sync(1, 0, INBOX)
    one.send([HELLO])
    one.outgoing()
    assert one.receive(State(1, 1, 0)) == [Folded(1)]  # the second was published behind the question
    assert one.receive(State(1, 0, 0)) == []
    one.sync()
    assert one.receive(State(2, 1, 0)) == [Resend()]
    assert [decode_client(payload) for payload in one.outgoing()] == [Burst(2, 0, HELLO)]
    one.sync()
    one.receive(State(3, 1, 0))
    assert one.receive(Items(1, (Item(Kind.FOLDED, 2),))) == [Folded(2)]  # it had only been late
    assert one.outgoing() == []


def test_items_are_taken_once_and_in_order() -> None:
    one = caller()
    one.send([HELLO])
    one.asking.add(1)
    answer, told = Item(Kind.ANSWER, 1, frame_of(Message.text("1")) * 2), Item(Kind.TOLD, 0, frame_of(Message.text("2")))
    assert one.receive(Items(3, (told,))) == []
    assert one.gap
    assert one.receive(Items(1, (Item(Kind.WELCOME, 5), answer))) == [Folded(1), Answered(1, Message.text("1")), Arrived()]
    assert (one.peer, one.epoch) == (Peer(5), 0)
    assert one.receive(Items(1, (Item(Kind.WELCOME, 5), answer, told))) == [Arrived()]
    assert [one.take(), one.take(), one.take()] == [Message.text("1"), Message.text("2"), None]
    assert one.receive(State(0, 1, 4)) == []
    assert one.gap


def test_a_response_that_nobody_waits_for_any_more_is_dropped() -> None:
    one = caller()
    one.asking.add(one.send([HELLO]))
    one.forget(1)
    one.forget(1)
    assert one.receive(Items(1, (Item(Kind.ANSWER, 1, HELLO),))) == [Folded(1)]
    assert one.take() is None


def test_pieces_make_one_item() -> None:
    one = caller()
    assert one.receive(Items(1, (Item(Kind.PIECE, 0, HELLO[:5]), Item(Kind.PIECE, 0, HELLO[5:7]), Item(Kind.TOLD, 0, HELLO[7:])))) == [
        Arrived()
    ]
    assert one.take() == Message.text("hello")


def test_a_confirmation_is_due_after_many_bytes() -> None:
    one = caller()
    one.receive(Items(1, (Item(Kind.TOLD, 0, frame_of(Message.octets(bytes(UNCONFIRMED)))),)))
    assert one.confirms
    assert decode_client(one.sync()) == Sync(1, 1, INBOX)
    assert not one.confirms
    assert decode_client(one.bye()) == Bye(1, INBOX)


def test_a_session_ends_once_and_takes_nothing_more() -> None:
    one = caller()
    assert one.receive(Items(1, (Item(Kind.CLOSED, 0), Item(Kind.TOLD, 0, HELLO)))) == [Over()]
    assert one.ended == ConnectionClosed(NAME)
    assert one.end(ConnectionLost(NAME)) == []
    assert one.receive(Items(2, (Item(Kind.TOLD, 0, HELLO),))) == []
    assert one.got == 1


@pytest.mark.parametrize("data", [b"\0\0\0\0\0\0\0\0", Signal.CLOSE.frame])
def test_items_that_are_no_messages_break_the_protocol(data: bytes) -> None:
    one = caller()
    assert one.receive(Items(1, (Item(Kind.TOLD, 0, data),))) == [Over()]
    assert isinstance(one.ended, ProtocolBroken)


def test_unread_messages_are_bounded() -> None:
    one = caller(Limits(unread=7))
    assert one.receive(Items(1, (Item(Kind.TOLD, 0, HELLO), Item(Kind.TOLD, 0, HELLO)))) == [Arrived(), Over()]
    assert one.ended == UnreadExceeded(NAME, 7)
    assert one.take() == Message.text("hello")


def test_a_failure_of_the_handler_ends_the_session_of_its_message() -> None:
    one = caller()
    one.send([HELLO])
    assert one.receive(Ping()) == one.receive(Behind()) == one.receive(Failed(0, "before")) == []
    assert one.gap
    assert one.receive(Failed(1, "ValueError: no")) == [Over()]
    assert one.ended == HandlerRaised(NAME, "ValueError: no")


def test_a_session_that_the_servers_have_forgotten_ends_when_they_begin_another_one() -> None:
    client, welcome = caller(), Item(Kind.WELCOME, 1, began(7.0))
    assert client.receive(Items(1, (welcome,))) == []
    assert client.receive(Items(1, (welcome,))) == []
    assert client.receive(Items(1, (Item(Kind.WELCOME, 1, began(8.0)),))) == [Over()]
    assert client.ended == ConnectionLost(NAME)
