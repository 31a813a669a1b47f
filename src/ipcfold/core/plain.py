"""The common path of both ends in few calls: plain messages, one at a time.

A plain message is a whole frame of the media type of the message before it, of some kilobytes at most. A plain answer is at
most one plain response. In Python most of the time of a message goes into calls, so each function here does at once what the
classes of the core do one after the other. It takes everything or nothing. If it takes nothing, nothing has changed, and the
classes take every case. They are the specification; a property compares both. The accelerator does the same in C.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ipcfold.continuation import Continuation, Outcome
from ipcfold.core.client_connection import _OVERHEAD, ClientConnection
from ipcfold.core.protocol import ClientState, ServerState
from ipcfold.core.wire import _END_MARK, _LONGEST_SIGNAL, _SIGNALS, ACKNOWLEDGEMENT, Decoder, Encoder
from ipcfold.draft import draft_of
from ipcfold.message import Message

if TYPE_CHECKING:
    from ipcfold.core.fold import Ask  # clients never need these
    from ipcfold.core.server import ServerCore
    from ipcfold.core.server_connection import ServerConnection

C = TypeVar("C")

_MOST: Final = 2**14  # bytes; a larger content costs more than the calls that are spared

_LENGTH: Final = 4  # bytes of the length of a content
_length: Final = Struct(">I").pack
_UNMARKED: Final = 3  # the length of an entry of `ClientConnection._responses` that answers the last message
_CONTINUE: Final = Outcome.CONTINUE
_CLIENT_TALKING: Final = ClientState.TALKING
_SERVER_TALKING: Final = ServerState.TALKING

_NewMessage: Final = draft_of(Message)
_NewContinuation: Final = draft_of(Continuation)


# The server's end.


def begun(core: ServerCore[C], end: ServerConnection, data: bytes, now: float, time: float) -> Ask[C] | None:
    """Take the bytes that arrived from this client, if they are one plain message, and the handler is to be asked for it next.

    That is so while nothing waits in the core or at this connection. `time`: in seconds since the epoch.
    """
    fold = core._fold
    if fold.asked is not None or fold.stopped or fold.waiting or now >= fold.rings:
        return None
    if end.state is not _SERVER_TALKING or end.told or end.waiting or end.behind or end._frames or end.outbox.size:
        return None
    message = _decoded(end._decoder, data, b"")
    if message is None:
        return None
    if time > fold._time:
        fold._time = time
    number = end.number + 1
    continuation: Any = _NewContinuation()  # Any: the type of a draft
    continuation.carry = fold._carry
    continuation.responses = ()
    continuation.outcome = _CONTINUE
    continuation.peer = end.peer
    continuation._given = (fold._time, number, None)
    continuation.__class__ = Continuation
    asked = message, continuation
    core._accounted = end._since = now
    end.waiting = True
    end.number = number
    fold.asked = asked
    return asked


def kept(core: ServerCore[C], end: ServerConnection, answer: Continuation[C], now: float) -> bytes | None:
    """Take the handler's answer to the message that has `begun`, if it is plain. Returns all that the client gets, to be written now."""
    fold, asked = core._fold, core._fold.asked
    if asked is None or fold.stopped or end.state is not _SERVER_TALKING or end.outbox.size or type(answer) is not Continuation:
        return None
    try:
        responses: object = answer.responses
        if answer.outcome is not _CONTINUE or type(responses) is not tuple:
            return None
        given, own = answer._given, asked[1]._given
        if answer.peer is not end.peer or (given is not own and (given[2] is not None or given[:2] != own[:2])):
            return None
        data: bytes | None = ACKNOWLEDGEMENT
        if responses:
            data = _encoded(core._encoder, responses[0], ACKNOWLEDGEMENT) if len(responses) == 1 else None
        if data is None:
            return None
        carry, deadline, paused = answer.carry, now + fold._timeout, core.shared.paused + now - core._accounted
    except (AttributeError, MemoryError):  # of a value that was made without its attributes
        return None
    fold.asked = None
    fold._carry = carry
    fold.deadline = deadline
    end.waiting = False
    core.shared.paused = paused
    core._accounted = now
    return data


# The client's end.


def sent(connection: ClientConnection, message: Message, now: float) -> bytes | None:
    """Count a plain message as sent. Returns its frame, to be written now. So nothing may be due or be written before."""
    if connection.state is not _CLIENT_TALKING or connection.outbox.size or now >= connection.deadline:
        return None
    try:
        frame = _encoded(connection._encoder, message, b"")
    except AttributeError:  # as above
        return None
    if frame is not None:
        connection._spoke = True
        connection.sent += 1
    return frame


def heard(connection: ClientConnection, data: bytes) -> bool:
    """Take the bytes that arrived, if they are the acknowledgement of a message, and one plain response."""
    if connection.acknowledged >= connection.sent or connection._disowned or connection.state is not _CLIENT_TALKING:
        return False
    message = _decoded(connection._decoder, data, ACKNOWLEDGEMENT)
    if message is None or message.media_type is not connection._weightless:
        return False
    weight = len(message.content) + _OVERHEAD
    unread = connection._unread + weight
    if unread > connection._limits.unread:
        return False
    connection._unread = unread
    connection.acknowledged = acknowledged = connection.acknowledged + 1
    connection._responses.append((acknowledged, message, weight))
    return True


def answer(connection: ClientConnection, number: int) -> Message | None:
    """The only response that has arrived, if it answers the message of that number, which is the last one."""
    responses = connection._responses
    if len(responses) != 1 or connection.acknowledged != number:
        return None
    entry = responses[0]
    if entry[0] != number or len(entry) != _UNMARKED:
        return None
    responses.clear()
    connection._unread = 0
    return entry[1]


# Frames.


def _decoded(decoder: Decoder, data: bytes, before: bytes) -> Message | None:
    """The plain message whose frame follows `before` in the data, if these are all bytes that there are."""
    header = decoder._header
    content = data[len(before) + len(header) + _LENGTH : -1]
    size = len(content)
    if size > _MOST or size > decoder._limit or (size <= _LONGEST_SIGNAL and content in _SIGNALS):
        return None
    # To encode it again and to compare takes fewer calls than to look at each part.
    if data != b"".join((before, header, _length(size), content, _END_MARK)):
        return None
    if decoder._data or decoder.fresh or decoder.large or decoder._broken or decoder._usual is None:
        return None
    message: Any = _NewMessage()  # Any: the type of a draft
    message.media_type = decoder._usual
    message.content = content
    message.__class__ = Message
    decoded: Message = message
    return decoded


def _encoded(encoder: Encoder, message: Message, before: bytes) -> bytes | None:
    """The frame of this message behind these bytes, if it is plain."""
    if type(message) is not Message or message.media_type is not encoder._media_type:
        return None
    content = message.content
    if type(content) is not bytes:
        return None
    size = len(content)
    if size > _MOST or size > encoder._limit or (size <= _LONGEST_SIGNAL and content in _SIGNALS):
        return None
    if size > encoder.largest:
        encoder.largest = size
    return b"".join((before, encoder._beginning, _length(size), content, _END_MARK))
