"""What a client knows, on disk: a line before every attempt and one after it.

Each line is one write to a file, which the kernel keeps when the process is killed.
"""

import os
from pathlib import Path
from typing import final

from tests.chaos.ledger import Attempt, Known


@final
class ClientLog:
    """The log of one incarnation of a client, written."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

    def attempt(self, connection: int, first: int, count: int) -> None:
        """So many messages from this number on are about to be sent."""
        os.write(self._file, f"attempt {connection} {first} {count}\n".encode())

    def known(self, acknowledged: int, reason: str) -> None:
        """How that ended, and how many of them are folded as far as the client knows."""
        os.write(self._file, f"known {acknowledged} {reason}\n".encode())


def read(path: Path) -> list[Attempt]:
    """The attempts of one incarnation, in their order; the last one may have been cut short by a kill."""
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
