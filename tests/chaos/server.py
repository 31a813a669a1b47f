"""The server's process: `python -m tests.chaos.server DIRECTORY RESULT PROGRESS`.

Its carry is the list of folded messages, in order. It starts with the carry in the file `RESULT`, if the file exists,
and writes the last carry there. It writes the number of folded messages to `PROGRESS`. It fails unless `listen` succeeds.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Final, final

import attrs
from returns.result import Failure, Success

from ipcfold import IPC, Continuation, Handler, HandlerFailed, Message, cases
from tests.chaos.note import Note
from tests.chaos.settings import LIMITS
from tests.shells.support import NAME, memory

_TOLD_EVERY: Final = 100  # The number of messages between two reports.


@final
@attrs.frozen
class Carry:
    """The folded messages: for each incarnation of a client, the runs `[connection, first number, count]`.

    The handler changes one value in place. A copy for each of a million messages would be too slow, and nothing reads
    an earlier carry.
    """

    runs: dict[str, list[list[int]]] = attrs.field(factory=dict)
    oddities: list[str] = attrs.field(factory=list)
    """Messages that are not whole, or that no client of ours wrote."""

    def add(self, note: Note) -> None:
        runs = self.runs.setdefault(f"{note.client}.{note.incarnation}", [])
        if runs and runs[-1][0] == note.connection and sum(runs[-1][1:]) == note.number:
            runs[-1][2] += 1
        else:
            runs.append([note.connection, note.number, 1])


def recording(tell: Callable[[int], None], before: int) -> Handler[Carry]:
    """A handler that records every message and does what it asks for. It reports the number of messages from time to time."""
    numbers = count(before + 1)

    def record(message: Message, continuation: Continuation[Carry], carry: Carry) -> Continuation[Carry]:
        note = Note.of(message)
        if note is None:
            carry.oddities.append(repr(message))
            return continuation.continue_(carry)
        carry.add(note)
        if (number := next(numbers)) % _TOLD_EVERY == 0:
            tell(number)
        answer = continuation.respond(carry, *[note.message(bytes(note.size))] * note.responses)
        return answer.close(carry) if note.close else answer

    return record


def main(directory: str, result: str, progress: str) -> None:
    """Serve until SIGTERM, from the carry of the previous server."""
    signals = list[int]()

    def note_signal(number: int, _: FrameType | None) -> None:
        signals.append(number)

    signal.signal(signal.SIGUSR1, note_signal)
    signal.signal(signal.SIGUSR2, note_signal)
    told = os.open(progress, os.O_WRONLY | os.O_CREAT, 0o600)

    def tell(number: int) -> None:
        os.pwrite(told, str(number).encode(), 0)

    first = Carry(**json.loads(Path(result).read_text())["carry"]) if Path(result).exists() else Carry()
    before = sum(run[2] for runs in first.runs.values() for run in runs)
    failure: str | None = None
    match cases(IPC(directory, limits=LIMITS).listen(NAME)(first, recording(tell, before))):
        case Success(carry):
            pass
        case Failure(HandlerFailed(carry=carry) as error):
            failure = str(error)
        case Failure(error):
            sys.exit(str(error))
    Path(result).write_text(
        json.dumps({"carry": attrs.asdict(carry), "signals": len(signals), "peak memory": memory(os.getpid(), "VmHWM")})
    )
    sys.exit(failure)


if __name__ == "__main__":
    main(*sys.argv[1:])
