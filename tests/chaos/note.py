"""The content of a message of the run: its client, its number, and the answer that the server gives."""

from random import Random
from struct import Struct
from typing import Final, Self, final
from zlib import crc32

import attrs

from ipcfold import Message

_HEADER: Final = Struct(">IIIIHI?I")
_FILLING: Final = Random(0).randbytes(200_000)  # noqa: S311 - repeatable, not secret; about as large as a socket's buffer
_ANSWERS: Final = {(0, 0): 900, (1, 20): 80, (1, 100_000): 15, (50, 1_000): 4, (20, 100_000): 1}
"""Numbers and sizes of responses, with a weight for each. The last ones are more than a client keeps unread."""


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
        """The next note. It asks for `responses` responses, or for a random number of them."""
        ((count, size),) = self._random.choices(list(_ANSWERS), list(_ANSWERS.values()))
        self.written += 1
        close = self._random.random() < 0.002
        count = count if responses is None else responses
        return Note(self._client, self._incarnation, self.connection, self.written, count, size, close)

    def message(self, note: Note) -> Message:
        """The note as a message of random size, mostly a small one."""
        (most,) = self._random.choices((100, 10_000, len(_FILLING)), (950, 40, 10))
        return note.message(_FILLING[: self._random.randrange(most)])

    def wrote(self, note: Note) -> bool:
        """Whether the note is of this incarnation and its present connection."""
        return (note.client, note.incarnation, note.connection) == (self._client, self._incarnation, self.connection)
