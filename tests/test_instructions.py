"""The guard against slow code fails where a count is over its budget, and says why where it compares nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.instructions import build_of_python, lasting, obstacle, over
from benchmarks.page import PAGE, page
from hypothesis import given
from hypothesis import strategies as st

from tests.environment import PLAIN
from tests.shells.support import PATIENCE

ROOT = Path(__file__).parents[1]
WHAT = "ask, pure Python, client"

counting = pytest.mark.skipif(bool(obstacle()), reason=f"no instructions are counted: {obstacle()}")
counts = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 10**6))


def instructions(budgets: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command for the client in pure Python."""
    command = [sys.executable, "-m", "benchmarks.instructions", "--budgets", str(budgets), "client"]
    environment = {**PLAIN, "IPCFOLD_PURE": "1", **environment}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)


@given(counts, counts)
def test_what_is_over_its_budget_by_more_than_a_twentieth_is_named(counted: dict[str, int], budgets: dict[str, int]) -> None:
    assert over(counted, {}) == []
    assert over(counted, counted) == []
    assert set(over(counted, budgets)) == {what for what, count in counted.items() if count * 20 > budgets.get(what, count) * 21}


@given(counts, counts, st.lists(counts, min_size=2, max_size=2))
def test_what_is_over_its_budget_each_time_stays_so(first: dict[str, int], budgets: dict[str, int], others: list[dict[str, int]]) -> None:
    each = [set(over(counted, budgets)) for counted in (first, *others)]
    left = iter(others)
    assert set(lasting(over(first, budgets), lambda: next(left), budgets)) == set.intersection(*each)


@counting
def test_the_guard_fails_where_a_count_is_over_its_budget(tmp_path: Path) -> None:
    budgets = tmp_path / "lower.json"
    budgets.write_text(json.dumps({build_of_python(): {WHAT: 1000, "round trip, pure Python, client": 10**9}}))
    done = instructions(budgets)
    assert (done.returncode, done.stderr) == (1, f"over budget: {WHAT}\n")


@counting
def test_a_python_without_budgets_passes_and_is_named(tmp_path: Path) -> None:
    done = instructions(tmp_path / "none.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{build_of_python()}\n")
    assert "There is no budget for this build of Python" in done.stdout


def test_the_guard_says_that_it_counts_nothing_where_there_is_no_valgrind(tmp_path: Path) -> None:
    done = instructions(tmp_path / "none.json", PATH=os.devnull)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("No instructions are counted: ")


def test_the_page_has_the_stored_figures() -> None:
    text = PAGE.read_text()
    assert page(text) == text
