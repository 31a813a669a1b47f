"""What an observer hears of a server: each connection begins and ends once, and the rest while the server leads."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ipcfold import Name, Peer
from ipcfold.events import Connected, Departure, Disconnected, Ending, Event, Listening, Stopping, Survived
from ipcfold.inputs import Woken
from ipcfold.nats.telling import Telling

NAME = Name("server")
PEERS = st.builds(Peer, st.integers(1, 4))


@given(st.lists(st.tuples(st.sampled_from(["come", "go", "lead", "follow"]), PEERS)))
def test_an_observer_hears_of_each_connection_once_from_beginning_to_end(steps: list[tuple[str, Peer]]) -> None:
    heard, there = list[Event](), dict[int, Peer]()
    telling = Telling(NAME, heard.append)
    open_, balance = Counter[int](), 0
    for what, peer in steps:
        match what:
            case "come" if peer.connection not in there:
                there[peer.connection] = peer
                telling.report(Connected(NAME, peer))
            case "go" if there.pop(peer.connection, None) is not None:
                telling.report(Disconnected(NAME, peer, Departure.CLOSED))
            case "lead" if not telling.leading:
                telling.lead(there.values())
            case "follow":
                telling.leading = False
            case _:
                pass
        for event in heard[balance:]:
            match event:
                case Connected(peer=connected):
                    open_[connected.connection] += 1
                case Disconnected(peer=gone):
                    open_[gone.connection] -= 1
                case _:
                    assert event == Listening(NAME)
        balance = len(heard)
        assert all(count in (0, 1) for count in open_.values())
        assert {number for number, count in open_.items() if count} <= there.keys()
        if telling.leading:
            assert {number for number, count in open_.items() if count} == there.keys()


def test_a_server_that_does_not_lead_tells_nothing() -> None:
    heard = list[Event]()
    telling = Telling(NAME, heard.append)
    telling.report(Stopping(NAME, Ending.FAILED))
    telling.report(Survived(NAME, Woken(0.0), ValueError()))
    assert heard == []
    telling.lead(())
    telling.ending = Ending.TIMED_OUT
    telling.report(Stopping(NAME, Ending.SIGNALLED))
    telling.report(Stopping(NAME, Ending.FAILED))
    assert heard[1:] == [Stopping(NAME, Ending.TIMED_OUT), Stopping(NAME, Ending.FAILED)]
