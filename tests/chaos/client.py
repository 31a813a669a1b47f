"""A client's process: `python -m tests.chaos.client DIRECTORY LOG CLIENT INCARNATION SEED`.

It connects, sends, asks, reads and closes at random until SIGTERM, and logs its knowledge. A timer and other
processes interrupt its system calls all the time. It fails with a traceback if the library breaks a promise.
"""

import signal
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random
from types import FrameType
from typing import Final, final

from returns.result import Failure, Success

from ipcfold import IPC, Message, Process, cases
from ipcfold.errors import (
    ConnectionClosed,
    ConnectionDropped,
    ConnectionLost,
    ConnectionRefused,
    NoServer,
    TimedOut,
    Unacknowledged,
    UnreadExceeded,
)
from tests.chaos.ledger import SUCCESS
from tests.chaos.log import ClientLog
from tests.chaos.note import Deed, Note, Writer
from tests.chaos.settings import LIMITS
from tests.shells.support import NAME, PATIENCE

_GLANCE: Final = 0.5  # Seconds to try to connect before the client checks whether to end.


class BrokenPromiseError(Exception):
    """The library broke a promise. The message says which."""


@final
class RandomClient:
    """One incarnation of a client."""

    def __init__(self, directory: str, log: ClientLog, writer: Writer, random: Random) -> None:
        self._ipc = IPC(directory, limits=LIMITS)
        self._log = log
        self._writer = writer
        self._random = random
        self._owed = 0  # The number of unread responses of this connection.
        self._surely = True  # Whether that number is exact. Otherwise there may be fewer.
        self._read_last = 0  # the number of the message whose response `wait` gave last
        self._late = Counter[int]()  # the unread responses to each deferred message
        self._subscriber = False
        self._published: int | None = None  # as far as `wait` has told
        self.ending = False

    def run(self) -> None:
        while not self.ending:
            match cases(self._ipc.wait(NAME, _GLANCE)):
                case Success(process):
                    self._talk(process)
                case Failure(TimedOut() | NoServer() | ConnectionRefused()):
                    pass
                case Failure(error):
                    raise BrokenPromiseError(f"connecting failed: {error}")

    def _talk(self, process: Process) -> None:
        self._writer.connection += 1
        self._owed, self._surely, self._read_last = 0, True, 0
        self._late.clear()
        self._subscriber, self._published = False, None
        doings = self._random.choices((self._send, self._ask, self._read, self._collect), (6, 2, 2, 1), k=self._random.randint(1, 100))
        for do in doings:
            do(process)
            if self.ending or process.closed:
                break
        if process.closed and self._random.random() < 0.5:
            self._collect(process)
            self._send(process)  # The connection has ended, so this must reach no server.
        if self._random.random() < 0.5:
            process.close()  # Otherwise the server sees the stream end.

    def _send(self, process: Process) -> None:
        notes = [self._writer.note() for _ in range(self._random.choice((1, 1, 2, 5, 10, 20, 50)))]
        messages = [self._message(note) for note in notes]
        self._log.attempt(notes[0].connection, notes[0].number, len(notes))
        match cases(process.send(*messages)):
            case Success():
                self._know(notes, len(notes), SUCCESS)
            case Failure(Unacknowledged(acknowledged=acknowledged, sent=sent, reason=reason)) if sent == len(notes):
                self._know(notes, acknowledged, type(reason).__name__)
            case Failure(error):
                self._know(notes, 0, type(error).__name__)

    def _message(self, note: Note) -> Message:
        self._subscriber = self._subscriber or note.deed == Deed.SUBSCRIBE
        return self._writer.message(note)

    def _ask(self, process: Process) -> None:
        timeout = self._random.choice((None, 0.0, 0.001, PATIENCE))
        note = self._writer.note(responses=self._random.randint(0 if timeout is not None and timeout < PATIENCE else 1, 2))
        self._log.attempt(note.connection, note.number, 1)
        match cases(process.ask(self._message(note), timeout)):
            case Success(response):
                self._know([note], 1, SUCCESS, asked=True)
                self._took(response, note.number, note.number)
            case Failure(Unacknowledged(acknowledged=acknowledged, reason=reason)):
                self._know([note], acknowledged, type(reason).__name__, asked=True)
            case Failure(TimedOut(acknowledged=acknowledged) as late):
                self._know([note], acknowledged, type(late).__name__, asked=True)
                self._owed += note.responses * (1 - acknowledged) - min(1, note.responses)
                self._surely = self._surely and acknowledged == 1
            case Failure(ConnectionClosed() | ConnectionLost() | ConnectionDropped() | UnreadExceeded() as ended):
                self._know([note], 1, type(ended).__name__, asked=True)
                if note.deed == Deed.DEFER:
                    self._owed -= note.responses  # The server ended before it answered.
                elif isinstance(ended, ConnectionClosed) and note.responses:
                    raise BrokenPromiseError(f"{note} was folded, and closed without its response")
            case Failure(error):
                self._know([note], 0, type(error).__name__)

    def _read(self, process: Process) -> None:
        """Read the responses that have come."""
        while self._took_next(process, 0.0):
            pass

    def _collect(self, process: Process) -> None:
        """Read all responses that must come."""
        while (self._owed or self._late) and self._took_next(process, PATIENCE):
            pass

    def _took_next(self, process: Process, timeout: float) -> bool:
        match cases(process.wait(timeout)):
            case Success(response):
                self._took_in_order(response)
                return True
            case Failure(TimedOut()) if not timeout:
                return False
            case Failure(ConnectionLost() | ConnectionDropped() | UnreadExceeded()):
                return False
            case Failure(ConnectionClosed()) if not (self._owed and self._surely):
                return False
            case Failure(error):
                raise BrokenPromiseError(f"{self._owed} responses and {self._late} are still to come, and then: {error}")

    def _took_in_order(self, response: Message) -> None:
        """Check what `wait` gave. Nothing that the client was told before it is missing."""
        note = Note.of(response)
        if note is None:
            raise BrokenPromiseError(f"a message that is not whole: {response}")
        told = note.deed == Deed.TOLD
        if note.published:
            due = None if self._published is None else self._published + told
            if not self._subscriber or due not in {None, note.published}:
                raise BrokenPromiseError(f"{note} came where publication {due} was due, or nothing")
            self._published = note.published
        if told:
            return
        if note.deed != Deed.DEFER:
            self._read_last = self._took(response, self._read_last, self._writer.written)
            return
        if not self._writer.wrote(note) or not self._late[note.number]:
            raise BrokenPromiseError(f"an answer that nobody waits for: {note}")
        self._late -= Counter([note.number])

    def _took(self, response: Message, least: int, most: int) -> int:
        """The number of the message that this responds to. It must be from `least` to `most`."""
        note = Note.of(response)
        if note is None or not self._writer.wrote(note):
            raise BrokenPromiseError(f"a response that is not for connection {self._writer.connection}: {note}")
        if not least <= note.number <= most or not self._owed:
            raise BrokenPromiseError(f"a response to {note.number}, where one from {least} to {most} was due, of {self._owed}")
        self._owed -= 1
        return note.number

    def _know(self, notes: list[Note], acknowledged: int, reason: str, *, asked: bool = False) -> None:
        self._log.known(acknowledged, reason)
        for note in islice(notes, acknowledged):
            if note.deed == Deed.DEFER and not asked:
                self._late[note.number] = note.responses
            else:
                self._owed += note.responses


def main(directory: str, log: str, number: str, incarnation: str, seed: str) -> None:
    random = Random(f"{seed} client {number}.{incarnation}")  # noqa: S311 - repeatable, not secret

    def end(_: int, __: FrameType | None) -> None:
        client.ending = True

    signal.signal(signal.SIGALRM, lambda _, __: None)
    signal.signal(signal.SIGUSR1, lambda _, __: None)
    signal.setitimer(signal.ITIMER_REAL, 0.01, random.uniform(0.003, 0.03))
    # Other processes send signals once the log exists. The handlers above are ready by then. A SIGTERM before its handler ends the process.
    client = RandomClient(directory, ClientLog(Path(log)), Writer(int(number), int(incarnation), random), random)
    signal.signal(signal.SIGTERM, end)
    try:
        client.run()
    finally:
        # The interpreter removes its signal handlers when it ends. A signal after that would kill it.
        for interrupting in (signal.SIGALRM, signal.SIGUSR1):
            signal.signal(interrupting, signal.SIG_IGN)


if __name__ == "__main__":
    main(*sys.argv[1:])
