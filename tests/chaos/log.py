"""The knowledge of a client, on disk: a line before every attempt and a line after it.

Each line is one write to a file. The kernel keeps it when the process is killed.
"""

import os
from pathlib import Path
from typing import final

from tests.chaos.ledger import Attempt, Known


@final
class ClientLog:
    """Writes the log of one incarnation of a client."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

    def attempt(self, connection: int, first: int, count: int) -> None:
        """The client is about to send `count` messages with numbers from `first` on."""
        os.write(self._file, f"attempt {connection} {first} {count}\n".encode())

    def known(self, acknowledged: int, reason: str) -> None:
        """The attempt ended. The client knows that so many of its messages are folded."""
        os.write(self._file, f"known {acknowledged} {reason}\n".encode())


def read(path: Path) -> list[Attempt]:
    """The attempts of one incarnation, in order. A kill may have interrupted the last one."""
    attempts = list[Attempt]()
    for line in path.read_text().splitlines():
        match line.split():
            case ["attempt", connection, first, count]:
                attempts.append(Attempt(int(connection), int(first), int(count)))
            case ["known", acknowledged, reason]:
                last = attempts.pop()
                attempts.append(Attempt(last.connection, last.first, last.count, Known(int(acknowledged), reason)))
            case _:
                raise ValueError(f"{path} has a line {line!r}")
    return attempts
