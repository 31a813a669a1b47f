"""Ctrl-C ends the command without a word, also while it is still imported."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ipcfold.cli.status import Status
from tests.cli.support import environment
from tests.environment import ROOT
from tests.shells.support import PATIENCE, python

# Sends SIGINT at the n-th import after the first line of this project has run.
SITE = """if True:
    import os, signal, sys

    class Finder:
        left = int(os.environ["SIGINT_AT"])

        def find_spec(self, name, path=None, target=None):
            Finder.left -= name.startswith("ipcfold.") or Finder.left < int(os.environ["SIGINT_AT"])
            if Finder.left == 0:
                os.kill(os.getpid(), signal.SIGINT)

    sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("at", [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233])
@pytest.mark.parametrize(
    "command", [("-m", "ipcfold"), ("-c", "import sys; from _ipcfold import main; sys.exit(main())")], ids=["m", "script"]
)
def test_ctrl_c_ends_the_command_silently_during_its_imports(directory: Path, command: tuple[str, ...], at: int) -> None:
    (directory / "sitecustomize.py").write_text(SITE)
    variables = environment(directory, PYTHONPATH=str(directory), SIGINT_AT=str(at))
    done = python(*command, "list", "--help", environment=variables, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_a_process_that_ignores_sigint_goes_on(directory: Path) -> None:
    (directory / "sitecustomize.py").write_text(SITE)
    variables = environment(directory, PYTHONPATH=str(directory), SIGINT_AT="5")
    ignoring = 'trap "" INT; exec "$@"'
    command = ["/bin/sh", "-c", ignoring, "sh", sys.executable, "-m", "ipcfold", "--version"]
    done = subprocess.run(command, capture_output=True, env=variables, cwd=ROOT, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (Status.DONE, b"")


@pytest.mark.parametrize("words", [("-m", "other", "-m", "ipcfold"), ("-m", "other", "ipcfold"), ("-mother", "-mipcfold")], ids=str)
def test_a_program_that_uses_the_library_keeps_its_sigint(directory: Path, words: tuple[str, ...]) -> None:
    (directory / "other").mkdir()
    (directory / "other" / "__init__.py").write_text("import ipcfold")
    (directory / "other" / "__main__.py").write_text("import signal, sys; sys.exit(signal.getsignal(2) is not signal.default_int_handler)")
    variables = environment(directory, PYTHONPATH=f"{directory}:{ROOT / 'src'}")
    python(*words, environment=variables)
