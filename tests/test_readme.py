"""What README and the pages beside it show is true: its programs run as the processes that they are, and what they name is there."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import ipcfold
from ipcfold import IPC, Message, Name
from tests.environment import PLAIN, ROOT
from tests.shells.support import PATIENCE
from tests.test_docs import PAGES, write

SERVER = Name("server-name")


def run(program: Path) -> subprocess.Popen[str]:
    environment = {**PLAIN, "IPCFOLD_DIRECTORY": str(program.parent)}
    return subprocess.Popen([sys.executable, str(program)], env=environment, stdout=subprocess.PIPE, text=True)


def printed(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    return output.strip()


def test_the_server_answers_42_clients_and_returns_42_at_the_43rd(directory: Path) -> None:
    write("README.md", directory)
    for clients in (42, 1):  # the next start under that name succeeds
        server = run(directory / "server.py")
        with IPC(directory).wait(SERVER, PATIENCE).unwrap() as process:
            process.send(*[Message.text("ping")] * (42 - clients)).unwrap()
        assert [printed(run(directory / "client.py")) for _ in range(clients)] == ["pong"] * clients
        assert IPC(directory).exists(SERVER).unwrap()
        assert "closed this connection" in printed(run(directory / "client.py"))
        assert printed(server) == "<Success: 42>"
        assert not list(directory.glob("server-name*"))


def test_the_unions_of_errors_are_those_of_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)(?:\[C\])?` \| .*? \| (.*) \|$", (ROOT / "docs" / "reference" / "errors.md").read_text(), re.MULTILINE)
    found = {union: set(re.findall(r"`(\w+)(?:\[C\])?`", members)) for union, members in rows if union.endswith(("Error", "Ended"))}
    assert set(found) == {"ConnectError", "SendError", "ReceiveError", "AskError", "CloseError", "ListenError", "Ended"}
    for union, members in found.items():
        expected = {member for name in members for member in classes(name)}
        assert expected == classes(union)


def classes(name: str) -> set[str]:
    """The classes of a union, or the class itself."""
    value = getattr(ipcfold, name)
    members = get_args(value)
    return {getattr(member, "__origin__", member).__name__ for member in members} if members else {value.__name__}


def test_the_tree_of_the_contributing_page_is_the_source() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    tree = set(re.findall(r"\b([a-z_]+\.py)\b", text[text.index("```text") : text.rindex("```")]))
    files = {file.name for file in (ROOT / "src").rglob("*.py") if file.name != "__init__.py"}
    assert tree == files


def test_the_tests_that_the_guarantees_name_exist() -> None:
    page = (ROOT / "docs" / "guarantees.md").read_text()
    sources = "".join(file.read_text() for file in (ROOT / "tests").rglob("*.py"))
    tests = re.findall(r"`(test_\w+)`", page)
    assert len(tests) > 20
    assert [test for test in tests if f"def {test}(" not in sources] == []
    assert [path for path in re.findall(r"`(tests/[\w/.]+)`", page) if not (ROOT / path).exists()] == []


def test_the_guarantees_tell_of_every_promise() -> None:
    page, readme = (ROOT / "docs" / "guarantees.md").read_text(), PAGES["README.md"].read_text()
    promises = re.findall(r"^(\d)\. \*\*", readme, re.MULTILINE)
    assert promises == re.findall(r"^### (\d)\. ", page, re.MULTILINE)
