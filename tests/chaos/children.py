"""The processes of a run, and functions that wait for them."""

import select
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from signal import Signals
from typing import IO, Final, final

from tests.environment import ROOT
from tests.shells.support import PATIENCE

_LAST_WORDS: Final = 2000  # The number of characters of a failed process's errors to report.


@final
class ChaosProcess:
    """A process of this package. It writes nothing to its standard output, which ends with the process."""

    def __init__(self, errors: Path, program: str, *arguments: str) -> None:
        self.title = f"{program} {errors.stem}"
        self._errors = errors
        with errors.open("wb") as said:
            command = [sys.executable, "-m", f"tests.chaos.{program}", *arguments]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, cwd=ROOT)

    @property
    def output(self) -> IO[bytes]:
        """Readable once the process is dead."""
        assert self._process.stdout is not None
        return self._process.stdout

    def signal(self, number: Signals) -> None:
        """Send it a signal, unless it is dead."""
        self._process.send_signal(number)

    def failure(self, *expected: Signals) -> str:
        """Wait for its end. Return what was wrong with it, or "". The process may end by one of these signals."""
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            return f"{self.title} did not end within {PATIENCE} s"
        self.output.close()
        if code == 0 or -code in expected:
            return ""
        return f"{self.title} ended with {code}: {self._errors.read_text()[-_LAST_WORDS:]}"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self.output.close()


def dead_within(seconds: float, children: Collection[ChaosProcess]) -> list[ChaosProcess]:
    """The dead processes, as soon as one is dead. After so many seconds, none."""
    ended, _, _ = select.select([child.output for child in children], [], [], seconds)
    return [child for child in children if child.output in ended]
