"""The protocol of both ends: their states, their events, and their transitions.

A table has a row for each state: an event gives the next state and one command. A signal of the other end is an event,
too. The two connections feed these tables, and decide nothing that a table can decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final, TypeAlias, TypeVar

from ipcfold.core.wire import Signal

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


class ServerState(Enum):
    """The state of the server's end of a connection."""

    GREETED = "greeted"
    """The server has greeted the client, which has not accepted. Everything else that the client sends is ignored."""
    TALKING = "talking"
    """Messages may come."""
    CLOSING = "closing"
    """The server asked to close. It ignores everything but the confirmation."""
    OVER = "over"
    """The connection is over. Only the rest of the outbox is still written."""

    __hash__ = object.__hash__  # as for signals


class ClientState(Enum):
    """The state of the client's end of a connection."""

    CONNECTED = "connected"
    """The server has not greeted yet. Everything else that it sends is ignored."""
    TALKING = "talking"
    """Messages may be sent."""
    CLOSING = "closing"
    """The client asked to close. It ignores everything but the confirmation."""
    CLOSED = "closed"
    """The client asked to close, and the server confirmed."""
    DISMISSED = "dismissed"
    """The server asked to close, and the client confirmed."""
    LOST = "lost"
    """The stream ended without closing."""
    BROKEN = "broken"
    """The server broke the protocol."""
    FLOODED = "flooded"
    """The unread responses exceeded their limit."""
    INTERRUPTED = "interrupted"
    """An exception interrupted a step, so nobody knows which bytes were moved."""

    __hash__ = object.__hash__  # as for signals


class ServerEvent(Enum):
    """The events of the server's end, in addition to the client's signals."""

    MESSAGE = "message"
    FOLDED = "folded"
    TOLD = "told"
    CLOSE_WANTED = "close wanted"
    OVERDUE = "overdue"
    STALLED = "stalled"
    BROKEN = "broken"
    ENDED = "ended"

    __hash__ = object.__hash__  # as for signals


class ClientEvent(Enum):
    """The events of the client's end, in addition to the server's signals."""

    MESSAGE = "message"
    CLOSE_WANTED = "close wanted"
    OVERDUE = "overdue"
    BROKEN = "broken"
    FLOODED = "flooded"
    ENDED = "ended"
    INTERRUPTED = "interrupted"

    __hash__ = object.__hash__  # as for signals


class Command(Enum):
    """The action of an end on a transition. Most commands send a signal."""

    NOTHING = "nothing"
    ASK_HANDLER = "ask the handler"
    DELIVER = "deliver"
    COUNT = "count"
    TELL = "tell"
    ACCEPT = Signal.START_OK
    ACKNOWLEDGE = Signal.RECEIVED
    HEARTBEAT = Signal.HEARTBEAT
    ASK_TO_CLOSE = Signal.CLOSE
    CONFIRM_CLOSE = Signal.CLOSE_OK


_SERVER: Final[dict[ServerState, dict[ServerEvent | Signal, tuple[ServerState, Command]]]] = {
    ServerState.GREETED: {
        Signal.START_OK: (ServerState.TALKING, Command.NOTHING),
        ServerEvent.CLOSE_WANTED: (ServerState.CLOSING, Command.ASK_TO_CLOSE),
        ServerEvent.BROKEN: (ServerState.OVER, Command.NOTHING),
        ServerEvent.ENDED: (ServerState.OVER, Command.NOTHING),
        ServerEvent.OVERDUE: (ServerState.OVER, Command.NOTHING),
    },
    ServerState.TALKING: {
        ServerEvent.MESSAGE: (ServerState.TALKING, Command.ASK_HANDLER),
        ServerEvent.FOLDED: (ServerState.TALKING, Command.ACKNOWLEDGE),
        ServerEvent.TOLD: (ServerState.TALKING, Command.TELL),
        ServerEvent.OVERDUE: (ServerState.TALKING, Command.HEARTBEAT),
        Signal.CLOSE: (ServerState.OVER, Command.CONFIRM_CLOSE),
        ServerEvent.CLOSE_WANTED: (ServerState.CLOSING, Command.ASK_TO_CLOSE),
        ServerEvent.STALLED: (ServerState.OVER, Command.NOTHING),
        ServerEvent.BROKEN: (ServerState.OVER, Command.NOTHING),
        ServerEvent.ENDED: (ServerState.OVER, Command.NOTHING),
    },
    ServerState.CLOSING: {
        Signal.CLOSE_OK: (ServerState.OVER, Command.NOTHING),
        Signal.CLOSE: (ServerState.OVER, Command.CONFIRM_CLOSE),  # both ends asked at once: the client waits for a confirmation
        ServerEvent.BROKEN: (ServerState.OVER, Command.NOTHING),
        ServerEvent.ENDED: (ServerState.OVER, Command.NOTHING),
        ServerEvent.OVERDUE: (ServerState.OVER, Command.NOTHING),
    },
    ServerState.OVER: {},
}

_CLIENT: Final[dict[ClientState, dict[ClientEvent | Signal, tuple[ClientState, Command]]]] = {
    ClientState.CONNECTED: {
        Signal.START: (ClientState.TALKING, Command.ACCEPT),
        Signal.CLOSE: (ClientState.DISMISSED, Command.CONFIRM_CLOSE),
        ClientEvent.CLOSE_WANTED: (ClientState.CLOSED, Command.NOTHING),
        ClientEvent.BROKEN: (ClientState.BROKEN, Command.NOTHING),
        ClientEvent.ENDED: (ClientState.LOST, Command.NOTHING),
        ClientEvent.INTERRUPTED: (ClientState.INTERRUPTED, Command.NOTHING),
    },
    ClientState.TALKING: {
        Signal.RECEIVED: (ClientState.TALKING, Command.COUNT),
        ClientEvent.MESSAGE: (ClientState.TALKING, Command.DELIVER),
        ClientEvent.OVERDUE: (ClientState.TALKING, Command.HEARTBEAT),
        Signal.CLOSE: (ClientState.DISMISSED, Command.CONFIRM_CLOSE),
        ClientEvent.CLOSE_WANTED: (ClientState.CLOSING, Command.ASK_TO_CLOSE),
        ClientEvent.BROKEN: (ClientState.BROKEN, Command.NOTHING),
        ClientEvent.FLOODED: (ClientState.FLOODED, Command.NOTHING),
        ClientEvent.ENDED: (ClientState.LOST, Command.NOTHING),
        ClientEvent.INTERRUPTED: (ClientState.INTERRUPTED, Command.NOTHING),
    },
    ClientState.CLOSING: {
        Signal.CLOSE_OK: (ClientState.CLOSED, Command.NOTHING),
        Signal.CLOSE: (ClientState.CLOSED, Command.CONFIRM_CLOSE),  # both ends asked at once: the server waits for a confirmation
        ClientEvent.BROKEN: (ClientState.BROKEN, Command.NOTHING),
        ClientEvent.ENDED: (ClientState.LOST, Command.NOTHING),
        ClientEvent.INTERRUPTED: (ClientState.INTERRUPTED, Command.NOTHING),
    },
    ClientState.CLOSED: {},
    ClientState.DISMISSED: {},
    ClientState.LOST: {},
    ClientState.BROKEN: {},
    ClientState.FLOODED: {},
    ClientState.INTERRUPTED: {},
}

ServerRow: TypeAlias = dict[ServerEvent | Signal, tuple[ServerState, Command, bytes]]
ClientRow: TypeAlias = dict[ClientEvent | Signal, tuple[ClientState, Command, bytes]]


def _rows(
    moves: Mapping[S, Mapping[E | Signal, tuple[S, Command]]], events: Iterable[E]
) -> dict[S, dict[E | Signal, tuple[S, Command, bytes]]]:
    """The same table with every event in every row and with the bytes to send, so that a transition is one look-up."""
    every: tuple[E | Signal, ...] = (*events, *Signal)
    rows = dict[S, dict[E | Signal, tuple[S, Command, bytes]]]()
    for state, row in moves.items():
        full = ((event, row.get(event, (state, Command.NOTHING))) for event in every)
        rows[state] = {
            event: (after, command, command.value.frame if isinstance(command.value, Signal) else b"") for event, (after, command) in full
        }
    return rows


SERVER_ROWS: Final = _rows(_SERVER, ServerEvent)
CLIENT_ROWS: Final = _rows(_CLIENT, ClientEvent)


def server_transition(state: ServerState, event: ServerEvent | Signal) -> tuple[ServerState, Command]:
    """The protocol of the server's end. Every state takes every event; an event that is not in the row changes nothing."""
    after, command, _ = SERVER_ROWS[state][event]
    return after, command


def client_transition(state: ClientState, event: ClientEvent | Signal) -> tuple[ClientState, Command]:
    """The protocol of the client's end, in the same form."""
    after, command, _ = CLIENT_ROWS[state][event]
    return after, command
