"""`python -m ipcfold`: the main job runs with nothing but the library, and wrong arguments get one line."""

import subprocess
import sys


def ipcfold(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-u", "-m", "ipcfold", *arguments], capture_output=True, text=True, timeout=50, check=False)


def test_the_demo_shows_each_exchange_and_the_carry() -> None:
    shown = ipcfold("demo")
    lines = shown.stdout.splitlines()
    assert (shown.returncode, shown.stderr) == (0, "")
    assert sum("->" in line for line in lines) == sum("is number" in line for line in lines) == 42
    assert lines[-1] == "the server carried 42"


def test_help_tells_of_the_commands() -> None:
    assert (ipcfold("--help").returncode, ipcfold("demo", "--help").returncode) == (0, 0)
    assert "demo" in ipcfold("--help").stdout


def test_a_wrong_argument_gets_one_line() -> None:
    for arguments in ((), ("dance",), ("demo", "--fast")):
        wrong = ipcfold(*arguments)
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert len(wrong.stderr.splitlines()) == 1
        assert "--help" in wrong.stderr
