"""Each checker accepts `pipelines.py`, and refuses the programs of `pipelines_wrong.py`, except those that `MISSED` lists.

The same holds for the pipelines of `ipcfold.aio` and `ipcfold.nats`, of which no checker misses anything. Each accepts `combinators.py`.

The checkers are in the extra `lint`, with exact versions: another version may infer something else.
"""

import ast
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.environment import PLAIN, ROOT
from tests.shells.support import python

HERE = Path(__file__).parent
RIGHT, WRONG = HERE / "pipelines.py", HERE / "pipelines_wrong.py"
COMBINATORS = HERE / "combinators.py"
AIO, AIO_WRONG = HERE / "pipelines_aio.py", HERE / "pipelines_aio_wrong.py"
NATS, NATS_WRONG = HERE / "pipelines_nats.py", HERE / "pipelines_nats_wrong.py"
PAGE = ROOT / "docs" / "how-to" / "type-checkers.md"

_PLUGIN: Final = 'plugins = ["returns.contrib.mypy.returns_plugin"]'


class Checker(NamedTuple):
    name: str
    package: str
    options: tuple[str, ...]
    error: str
    """How a line of its output tells of an error: the file, then the number of the line."""


_MYPY: Final = ("--config-file", "pyproject.toml", "--no-color-output"), r"(\S+\.py):(\d+): error: "

CHECKERS: Final = (
    Checker("mypy with the plugin", "mypy", *_MYPY),
    Checker("mypy", "mypy", *_MYPY),
    Checker("pyright", "pyright", ("--pythonpath", sys.executable), r" *(\S+\.py):(\d+):\d+ - error: "),
    Checker(
        "pyrefly",
        "pyrefly",
        ("check", "--config", "pyproject.toml", "--python-interpreter-path", sys.executable, "--output-format", "min-text"),
        r"ERROR (\S+\.py):(\d+):",
    ),
    Checker("ty", "ty", ("check", "--python", sys.executable, "--output-format", "concise"), r"(\S+\.py):(\d+):\d+: error\["),
)

_ALL_BUT_THE_PLUGIN: Final = frozenset({"mypy", "pyright", "pyrefly", "ty"})
_BOTH_MYPYS: Final = frozenset({"mypy with the plugin", "mypy"})

MISSED: Final[Mapping[str, frozenset[str]]] = {
    # ty has no rule for a `match` that leaves a case out: it only sees that such a function lacks a `return`.
    "forgotten_failure_of_none": frozenset({"ty"}),
    "forgotten_failure_of_a_bare_result": frozenset({"ty"}),
    # mypy infers `Any` for what is in a `Result` that is matched without `cases`.
    "value_of_a_bare_result": _BOTH_MYPYS,
    # Only the plugin knows what `flow` returns. Without it, `flow` is `Any` or unknown, and nothing in it is compared.
    "forgotten_flat_map_in_a_flow": _ALL_BUT_THE_PLUGIN,
    "step_in_the_wrong_place_of_a_flow": _ALL_BUT_THE_PLUGIN,
    "result_of_a_flow_as_value": _ALL_BUT_THE_PLUGIN,
    "hidden_error_of_a_flow": _ALL_BUT_THE_PLUGIN,
}


class Program(NamedTuple):
    title: str
    lines: range
    marks: frozenset[int]


def programs(file: Path = WRONG) -> dict[str, Program]:
    """The functions of a file of wrong programs by their names."""
    lines = file.read_text().splitlines()
    found = dict[str, Program]()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            within = range(node.lineno, (node.end_lineno or 0) + 1)
            marks = frozenset(line for line in within if lines[line - 1].endswith("# refused"))
            found[node.name] = Program(ast.get_docstring(node) or "", within, marks)
    return found


def configuration(*, plugin: bool) -> str:
    """The `pyproject.toml` that the documentation shows, and in it the plugin for mypy."""
    shown = re.search(r"^```toml\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert shown is not None
    assert f"`{_PLUGIN}` under `[tool.mypy]`" in PAGE.read_text()
    return shown[1].replace("[tool.mypy]\n", f"[tool.mypy]\n{_PLUGIN}\n") if plugin else shown[1]


def errors(checker: Checker, directory: Path) -> dict[str, set[int]]:
    """The lines that the checker has errors on, by file."""
    files = (RIGHT, WRONG, AIO, AIO_WRONG, NATS, NATS_WRONG, COMBINATORS)
    for file in files:
        shutil.copy(file, directory)
    (directory / "pyproject.toml").write_text(configuration(plugin="plugin" in checker.name))
    environment = {**PLAIN, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}  # without it, pyright's package looks for a newer version of itself
    command = ["-m", checker.package, *checker.options, *(file.name for file in files)]
    done = python(*command, cwd=directory, environment=environment, check=False)
    assert done.returncode == 1, done.stdout + done.stderr  # errors, and no failure of the checker's own
    found: dict[str, set[int]] = {file.name: set() for file in files}
    for line in done.stdout.splitlines():
        where = re.match(checker.error, line)
        if where is not None:
            found[Path(where[1]).name].add(int(where[2]))
    return found


@pytest.mark.parametrize("checker", CHECKERS, ids=[checker.name for checker in CHECKERS])
def test_a_checker_accepts_what_is_right_and_refuses_what_the_table_says(checker: Checker, tmp_path: Path) -> None:
    found = errors(checker, tmp_path)
    wrong = programs()
    refused = {name for name, program in wrong.items() if found[WRONG.name] & program.marks}
    assert found[RIGHT.name] == set()
    assert refused == {name for name in wrong if checker.name not in MISSED.get(name, ())}
    assert found[WRONG.name] <= {line for program in wrong.values() for line in program.marks}
    assert found[AIO.name] == found[NATS.name] == found[COMBINATORS.name] == set()
    for file in (AIO_WRONG, NATS_WRONG):
        assert found[file.name] == {line for program in programs(file).values() for line in program.marks}


def test_pyrefly_finds_nothing_without_a_configuration(tmp_path: Path) -> None:
    """The documentation says so, which is why each project needs to write one."""
    shutil.copy(WRONG, tmp_path)
    done = python("-m", "pyrefly", "check", "--python-interpreter-path", sys.executable, WRONG.name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "using preset `basic`" in done.stderr


def test_each_wrong_program_has_a_title_and_a_mark() -> None:
    wrong = programs()
    assert MISSED.keys() <= wrong.keys()
    assert all(program.title and program.marks for program in wrong.values())
    assert len({program.title for program in wrong.values()}) == len(wrong)


def test_the_documentation_shows_this_table() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.read_text().splitlines() if line.startswith("|")]
    header = ["", *(checker.name.replace(checker.package, f"{checker.package} {version(checker.package)}") for checker in CHECKERS)]
    assert [row for row in rows if row != header and set(row) != {"---"}] == [
        [program.title, *("misses" if checker.name in MISSED.get(name, ()) else "refuses" for checker in CHECKERS)]
        for name, program in programs().items()
    ]
    assert rows[0] == header


def test_the_checkers_are_of_the_pinned_versions() -> None:
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["lint"]
    for package in {checker.package for checker in CHECKERS}:
        assert any(re.fullmatch(rf"{package}(\[\w+\])?=={re.escape(version(package))}", pin) for pin in pins), package
