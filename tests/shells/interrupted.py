"""Asking while exceptions strike: `python -m tests.shells.interrupted storm|lines DIRECTORY`.

Prints as JSON which attempts ended how.
"""

import json
import signal
import sys
from collections import defaultdict
from pathlib import Path
from types import FrameType

from returns.result import Failure, Result, Success

import ipcfold
from ipcfold import IPC, AskError, Interrupted, Message, Unacknowledged, cases
from tests.shells.support import NAME

LIBRARY = str(Path(ipcfold.__file__).parent)

Outcomes = defaultdict[str, list[int]]


class StruckError(Exception):
    """What strikes."""


def storm(ipc: IPC) -> Outcomes:
    """The handler of a signal raises in the middle of about every other request."""
    armed = False

    def strike(_: int, __: FrameType | None) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise StruckError

    outcomes = Outcomes(list)
    process = ipc.get(NAME).unwrap()
    signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)
    for number in range(3000):
        message = Message.text(f"echo {number} " + "x" * (number % 7 * 3000))
        asked: Result[Message, AskError] | None = None
        try:
            armed = True
            asked = process.ask(message)
            armed = False
        except StruckError:
            outcomes["raised"].append(number)
        if asked is None:
            continue
        match cases(asked):
            case Success(response):
                assert response == message
                outcomes["success"].append(number)
            case Failure(error):
                assert error == Unacknowledged(0, 1, Interrupted(NAME)), error
                outcomes["interrupted"].append(number)
                process = ipc.get(NAME).unwrap()
    signal.setitimer(signal.ITIMER_REAL, 0)
    process.close()
    return outcomes


def lines(ipc: IPC) -> Outcomes:
    """An exception strikes before the first line of the library in a request; on a new connection, before the second; and so on."""
    outcomes = Outcomes(list)
    left = 0

    def strike(frame: FrameType, event: str, _: object) -> object:
        nonlocal left
        if not frame.f_code.co_filename.startswith(LIBRARY):
            return None
        left -= event == "line"
        if event == "line" and left == 0:
            raise StruckError
        return strike

    for number in range(1, 1000):
        process = ipc.get(NAME).unwrap()
        left = number
        sys.settrace(strike)  # type: ignore[arg-type]  # typeshed's type of trace functions is private
        try:
            process.ask(Message.text(f"echo {number}"))
        except StruckError:
            sys.settrace(None)
        else:
            sys.settrace(None)
            process.close()
            return outcomes
        again = process.ask(Message.text("ping"))
        if again == Success(Message.text("pong")):
            outcomes["survived"].append(number)
            process.close()
        else:
            outcomes["interrupted"].append(number)
            assert again == Failure(Unacknowledged(0, 1, Interrupted(NAME))), again
            arrived = Success(Message.text(f"echo {number}"))  # before it was struck
            assert process.wait() in (Failure(Interrupted(NAME)), arrived)
            assert process.close() == Failure(Interrupted(NAME))
    raise AssertionError("a request has less than a thousand lines")


if __name__ == "__main__":
    struck = {"storm": storm, "lines": lines}[sys.argv[1]]
    print(json.dumps(struck(IPC(sys.argv[2]))))  # noqa: T201 - the output is its purpose
