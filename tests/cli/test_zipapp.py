"""The command as one file: without the metadata of packages, which only an installer writes."""

import os
import shutil
import subprocess
import sys
import zipapp
from pathlib import Path

import attrs
import pytest

import ipcfold as package
from ipcfold.version import VERSION
from tests.cli.support import environment
from tests.environment import ROOT
from tests.shells.support import PATIENCE

SOURCE = Path(package.__file__).parent


@pytest.fixture(scope="module")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in a zip file, beside the directory `dependencies`."""
    base = tmp_path_factory.mktemp("zip")
    shutil.copytree(SOURCE, base / "app" / "ipcfold", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    shutil.copy(SOURCE.parent / "_ipcfold.py", base / "app")
    zipapp.create_archive(base / "app", base / "ipcfold.pyz", main="_ipcfold:main")
    (base / "dependencies").mkdir()
    for entry in os.scandir(Path(attrs.__file__).parents[1]):
        if "ipcfold" not in entry.name and not entry.name.endswith((".pth", ".dist-info")):
            (base / "dependencies" / entry.name).symlink_to(entry.path)
    return base / "ipcfold.pyz"


def run(zipped: Path, directory: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    variables = environment(directory, PYTHONPATH=str(zipped.parent / "dependencies"))
    return subprocess.run(
        [sys.executable, "-S", zipped, *words], capture_output=True, env=variables, cwd=ROOT, timeout=PATIENCE, check=False
    )


@pytest.mark.parametrize(
    "words",
    [("list", "--json"), ("--help",), ("completion", "bash"), *((word, "--help") for word in ("list", "ask", "listen", "demo"))],
    ids=str,
)
def test_the_commands_work_in_a_zip_file(zipped: Path, directory: Path, words: tuple[str, ...]) -> None:
    done = run(zipped, directory, *words)
    assert (done.returncode, done.stderr, bool(done.stdout)) == (0, b"", True)


def test_a_zip_file_knows_the_version(zipped: Path, directory: Path) -> None:
    assert run(zipped, directory, "--version").stdout.decode().split()[0] == VERSION


def test_a_server_and_a_client_run_from_a_zip_file(zipped: Path, echo: Path) -> None:
    assert run(zipped, echo, "ask", "echo", "hi").stdout == b"hi"
    assert run(zipped, echo, "listen", "zipped", "tests.cli.handlers:echo", "--timeout", "0.05", "--carry", "7").stdout == b"7\n"
