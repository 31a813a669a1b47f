"""The content of a message of the run: its client, its number, and what the server does with it."""

from enum import IntEnum
from random import Random
from struct import Struct
from typing import Final, Self, final
from zlib import crc32

import attrs

from ipcfold import Message

_HEADER: Final = Struct(">IIIIHI?BII")
_FILLING: Final = Random(0).randbytes(200_000)  # noqa: S311 - repeatable, not secret; about as large as a socket's buffer
_ANSWERS: Final = {(0, 0): 900, (1, 20): 80, (1, 100_000): 15, (50, 1_000): 4, (20, 100_000): 1}
"""Numbers and sizes of responses, with a weight for each. The last ones are more than a client keeps unread."""


class Deed(IntEnum):
    """What the server does with a message, in addition to its responses."""

    NOTHING = 0
    SUBSCRIBE = 1
    """From now on the client is told everything that is published."""
    PUBLISH = 2
    """All subscribers are told a message."""
    DEFER = 3
    """The responses come later."""
    TOLD = 4
    """Not of a client: what subscribers are told."""


_DEEDS: Final = {Deed.NOTHING: 870, Deed.SUBSCRIBE: 10, Deed.PUBLISH: 40, Deed.DEFER: 80}


@final
@attrs.frozen
class Note:
    """One numbered message. Numbers rise through all connections of an incarnation, and none is used twice."""

    client: int
    incarnation: int
    connection: int
    number: int
    responses: int = 0
    """The number of responses that the message asks for."""
    size: int = 0
    """The number of bytes of each response, in addition to the note."""
    close: bool = False
    """Whether the server shall close the connection after it."""
    deed: int = Deed.NOTHING
    """The value of a `Deed`."""
    published: int = 0
    """In what a subscriber gets: how many messages were published until then. It is 0 for all other clients."""

    def message(self, filling: bytes) -> Message:
        """The note as a message, with the filling after it."""
        return Message.octets(_HEADER.pack(*attrs.astuple(self), crc32(filling)) + filling)

    @classmethod
    def of(cls, message: Message) -> Self | None:
        """The note of a message, or `None` if the message is not a whole note."""
        if len(message.content) < _HEADER.size:
            return None
        *fields, checksum = _HEADER.unpack_from(message.content)
        return cls(*fields) if crc32(memoryview(message.content)[_HEADER.size :]) == checksum else None


@final
class Writer:
    """Makes the messages of one incarnation of a client."""

    def __init__(self, client: int, incarnation: int, random: Random) -> None:
        self._client = client
        self._incarnation = incarnation
        self._random = random
        self.connection = 0
        self.written = 0
        """The number of the last note."""

    def note(self, responses: int | None = None) -> Note:
        """The next note. It asks for `responses` responses, or for a random number of them. A late answer has at least one."""
        ((count, size),) = self._random.choices(list(_ANSWERS), list(_ANSWERS.values()))
        self.written += 1
        close = self._random.random() < 0.002
        count = count if responses is None else responses
        (deed,) = self._random.choices(list(_DEEDS), list(_DEEDS.values()))
        if deed is Deed.DEFER:
            count = 1 if responses is not None else max(1, count)
        return Note(self._client, self._incarnation, self.connection, self.written, count, size, close, deed)

    def message(self, note: Note) -> Message:
        """The note as a message of random size, mostly a small one."""
        (most,) = self._random.choices((100, 10_000, len(_FILLING)), (950, 40, 10))
        return note.message(_FILLING[: self._random.randrange(most)])

    def wrote(self, note: Note) -> bool:
        """Whether the note is of this incarnation and its present connection."""
        return (note.client, note.incarnation, note.connection) == (self._client, self._incarnation, self.connection)
