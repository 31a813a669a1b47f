"""Code of the program raises on the server's thread at any step of its log: what was acknowledged is in the carry and in the log."""

import signal
from itertools import count
from pathlib import Path
from types import FrameType

import pytest
from returns.result import Success

from ipcfold import IPC, Continuation, Message
from ipcfold.log import SQLiteLog
from ipcfold.testing import replayed
from tests.log.test_kill import connected
from tests.shells.children import Child, Fault
from tests.shells.support import NAME, PATIENCE, in_python


def tell(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
    return given.respond(carry + 1, message)


def fail(number: int, frame: FrameType | None) -> None:
    raise KeyError(number)


def serving(directory: Path, fault: Fault) -> Child:
    def work(_: object) -> object:
        in_python()
        signal.signal(signal.SIGUSR1, fail)
        return IPC(directory).listen(NAME, PATIENCE, log=SQLiteLog.of(directory / "log"))(0, tell)

    return Child(work, fault)


@pytest.mark.parametrize("function", ["_commit", "record"])
def test_what_was_acknowledged_is_in_the_carry_and_in_the_log(function: str, tmp_path: Path) -> None:
    for line in count(1):
        directory = tmp_path / f"{line}"
        directory.mkdir(mode=0o700)
        acknowledged = 0
        with serving(directory, Fault(signal.SIGUSR1, line, after=function, until=function)) as server:
            process = connected(directory, server)
            if process is not None:
                with process:
                    for _ in range(3):
                        acknowledged += process.ask(Message.text("one"), PATIENCE).value_or(None) is not None
            if acknowledged == 3:
                server.signal(signal.SIGTERM)
            code, said = server.ended()
        if code == -signal.SIGTERM:  # the server had ended by itself, and did not say how
            assert acknowledged == replayed(tell, SQLiteLog.of(directory / "log"), 0).unwrap() == 3
            continue
        *struck, result = said.splitlines()
        carry = next((carry for carry in range(acknowledged, 4) if result == str(Success(carry))), None)
        assert carry is not None, (line, struck, acknowledged, result)
        in_log = replayed(tell, SQLiteLog.of(directory / "log"), 0).unwrap()
        assert acknowledged <= in_log <= acknowledged + 1
        if not struck:
            assert line > 5
            return
