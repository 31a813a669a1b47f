"""The tables of the protocol are complete, whatever moves they are made of."""

from enum import Enum

from hypothesis import given
from hypothesis import strategies as st

from ipcfold.core.protocol import Command, _rows
from ipcfold.core.wire import Signal


class State(Enum):
    OFF = "off"
    ON = "on"


class Event(Enum):
    PRESSED = "pressed"
    RELEASED = "released"


EVENTS: list[Event | Signal] = [*Event, *Signal]
targets = st.tuples(st.sampled_from(State), st.sampled_from(Command))


@given(st.dictionaries(st.sampled_from(State), st.dictionaries(st.sampled_from(EVENTS), targets)))
def test_each_row_of_a_table_has_every_event_and_the_frame_to_send(moves: dict[State, dict[Event | Signal, tuple[State, Command]]]) -> None:
    rows = _rows(moves, Event)
    assert rows.keys() == moves.keys()
    for state, row in rows.items():
        assert row.keys() == set(EVENTS)
        for event, (after, command, frame) in row.items():
            assert (after, command) == moves[state].get(event, (state, Command.NOTHING))  # An event without a move changes nothing.
            assert frame == (command.value.frame if isinstance(command.value, Signal) else b"")
