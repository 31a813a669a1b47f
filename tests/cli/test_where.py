"""`where`: the directory in which servers and clients meet, by the rule of `ipcfold.local.directory`."""

import json
import os
import platform
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ipcfold.cli.status import Status
from tests.cli.support import COMMAND, complaint, ipcfold
from tests.environment import PLAIN, ROOT
from tests.shells.children import NOBODY, needs_root
from tests.shells.support import PATIENCE

VARIABLES = ("IPCFOLD_DIRECTORY", "XDG_RUNTIME_DIR", "HOME")
SESSION = Path(f"/run/user/{os.geteuid()}")
needs_no_session = pytest.mark.skipif(SESSION.exists() or sys.platform != "linux", reason="this user has a runtime directory")
HOST = platform.node()


def where(**variables: str) -> dict[str, object]:
    """What the command tells where only these of the variables are set."""
    done = run(**variables)
    told = json.loads(done.stdout)
    assert isinstance(told, dict)
    assert done.returncode == (Status.DONE if told["usable"] else Status.DIRECTORY)
    assert told["usable"] == (told["problem"] is None) == (done.stderr == b"")
    return told


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in PLAIN.items() if name not in VARIABLES} | variables
    return subprocess.run(
        [*COMMAND, "where", *(words or ("--json",))], capture_output=True, env=environment, cwd=ROOT, timeout=PATIENCE, check=False
    )


def test_a_variable_names_the_directory(directory: Path) -> None:
    told = where(IPCFOLD_DIRECTORY=str(directory / "own"), XDG_RUNTIME_DIR=str(directory))
    assert told == {
        "directory": str(directory / "own"),
        "because": "IPCFOLD_DIRECTORY names it",
        "exists": False,
        "usable": True,
        "problem": None,
    }
    assert list(directory.iterdir()) == []  # the command creates nothing


def test_an_option_names_the_directory(directory: Path) -> None:
    done = ipcfold(directory, "where", "--directory", str(directory / "none"), "--json")
    assert (done.returncode, json.loads(done.stdout)["because"]) == (Status.DIRECTORY, "the program names it")
    assert ipcfold(directory, "where").stdout.decode() == f"{directory}\tIPCFOLD_DIRECTORY names it\tcan be used\n"


def test_a_session_has_a_runtime_directory(directory: Path) -> None:
    told = where(XDG_RUNTIME_DIR=str(directory))
    assert (told["directory"], told["usable"]) == (str(directory / "ipcfold"), True)


@needs_no_session
@pytest.mark.parametrize("session", ["relative", "missing", "a file", "of another user", "shared", "unset"])
def test_a_runtime_directory_that_is_not_the_user_s_is_passed_over(directory: Path, session: str) -> None:
    path = directory / "session"
    if session == "a file":
        path.touch()
    elif session != "missing":
        path.mkdir()
        path.chmod(0o1777 if session == "shared" else 0o700)
    if session == "of another user":
        if os.geteuid() != 0:
            pytest.skip("only root can give a directory away")
        os.chown(path, NOBODY, NOBODY)
    variables = {} if session == "unset" else {"XDG_RUNTIME_DIR": "tests" if session == "relative" else str(path)}
    told = where(HOME=str(directory), **variables)
    assert told["directory"] == str(directory / ".local" / "state" / f"ipcfold-{HOST}")
    assert told["usable"] is True
    assert "XDG_RUNTIME_DIR" in str(told["because"])


@needs_no_session
def test_a_missing_home_directory_is_told(directory: Path) -> None:
    done = run(HOME=str(directory / "none"))
    assert (done.returncode, "IPCFOLD_DIRECTORY" in complaint(done)) == (Status.DIRECTORY, True)
    assert not (directory / "none").exists()


@needs_no_session
@needs_root
def test_root_creates_no_directory_in_the_home_of_a_user(directory: Path) -> None:
    os.chown(directory, NOBODY, NOBODY)
    assert str(where(HOME=str(directory))["directory"]).startswith(f"{pwd.getpwuid(0).pw_dir}/")


def test_an_unusable_directory_has_the_status_of_its_error(directory: Path) -> None:
    (directory / "tmp").mkdir()
    (directory / "tmp").chmod(0o1777)
    done = run("--json", IPCFOLD_DIRECTORY=str(directory / "tmp"))
    assert done.returncode == Status.DIRECTORY
    assert b"use a directory of your own" in done.stderr
    assert stat.S_IMODE((directory / "tmp").stat().st_mode) == 0o1777


def test_a_relative_directory_without_a_working_directory_is_told(directory: Path) -> None:
    program = (
        "import os, sys; sys.path.insert(0, sys.argv.pop(1)); os.chdir(sys.argv[1]); os.rmdir(sys.argv.pop(1));"
        "from ipcfold.cli import main; sys.exit(main())"
    )
    (directory / "gone").mkdir()
    done = subprocess.run(
        # With -P, because the path of modules would begin with the working directory; without one, CPython 3.13.0 imports no `socket` then.
        [sys.executable, "-P", "-c", program, str(ROOT / "src"), str(directory / "gone"), "where"],
        capture_output=True,
        env=PLAIN | {"IPCFOLD_DIRECTORY": "relative"},
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, "working directory" in complaint(done)) == (Status.DIRECTORY, True)
