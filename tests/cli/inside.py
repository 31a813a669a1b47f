"""The command in the process of the test: each command of its own takes a quarter of a second to start."""

import sys
from pathlib import Path

import pytest

from ipcfold.cli.app import run
from ipcfold.cli.status import Status


class Command:
    """The command, which finds modules in the directory of the sockets."""

    def __init__(self, directory: Path, outputs: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self._outputs = outputs
        patch.setenv("IPCFOLD_DIRECTORY", str(directory))
        patch.syspath_prepend(directory)

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """The exit status, and what was written on the two outputs."""
        self._outputs.readouterr()
        known, digits = set(sys.modules), sys.get_int_max_str_digits()
        try:
            status = run(words)
        finally:
            sys.set_int_max_str_digits(digits)
            for name in set(sys.modules) - known:
                if not name.startswith("ipcfold."):  # so that the next command imports the program anew
                    del sys.modules[name]
        return status, *self._outputs.readouterr()

    def printed(self, *words: str) -> str:
        """What the command wrote, which succeeds and complains of nothing."""
        status, output, errors = self(*words)
        assert (status, errors) == (Status.DONE, "")
        return output

    def fails(self, *words: str, status: Status, says: str) -> None:
        """The command fails with this status and one line, which has these words."""
        ended, output, errors = self(*words)
        assert (ended, output, len(errors.splitlines())) == (status, "", 1), errors
        assert says in errors
