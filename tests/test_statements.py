"""The statements about other libraries can be found; whether they hold is no test, since other projects decide it."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from benchmarks.statements.__main__ import LIBRARIES
from benchmarks.statements.seen import looked, statements

from tests.shells.support import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="they need what the benchmarks need")

ROOT = Path(__file__).parents[1]
PRESENT = [name for name, needs in LIBRARIES.items() if not needs or find_spec(needs)]


@pytest.mark.parametrize("name", PRESENT)
def test_a_library_has_statements_that_differ(name: str) -> None:
    texts = [statement.text for statement in statements(name)]
    assert texts
    assert len(set(texts)) == len(texts)


def test_a_module_of_statements_is_listed() -> None:
    modules = {path.stem for path in (ROOT / "benchmarks" / "statements").glob("*.py")}
    assert modules - {"__init__", "__main__", "seen"} == set(LIBRARIES)


def test_a_statement_is_looked_at_in_a_process_of_its_own() -> None:
    (index,) = (index for index, each in enumerate(statements("standard")) if each.text.startswith("`send_bytes`"))
    assert looked("standard", index).holds


def test_a_library_without_statements_is_an_error() -> None:
    command = [sys.executable, "-m", "benchmarks.statements", "nobody"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert "there are no statements of nobody" in done.stderr
