"""The processes of a run, and how they are waited for."""

import select
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from signal import Signals
from typing import IO, Final, final

from tests.environment import ROOT
from tests.shells.support import PATIENCE

_LAST_WORDS: Final = 2000  # characters of what a failed process said


@final
class ChaosProcess:
    """A process of this package; its standard output stays empty, and ends when the process does."""

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
        """Send it a signal, if it lives."""
        self._process.send_signal(number)

    def failure(self, *expected: Signals) -> str:
        """Wait for its end: why it was not good, in words, or ""; one of these signals may be the reason for it."""
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
    """Those that are dead, as soon as one is; none, if that takes longer."""
    ended, _, _ = select.select([child.output for child in children], [], [], seconds)
    return [child for child in children if child.output in ended]
