"""mypy accepts `right.py` as it stands, and refuses exactly the marked lines of `wrong.py`."""

import re
from pathlib import Path

from mypy import api

HERE = Path(__file__).parent
CONFIG = HERE.parents[1] / "mypy.ini"


def refused(file: Path) -> dict[int, set[str]]:
    """The codes of mypy's errors by line."""
    output, errors, _ = api.run(
        ["--config-file", str(CONFIG), "--no-error-summary", "--no-color-output", "--hide-error-context", str(file)]
    )
    assert not errors
    found: dict[int, set[str]] = {}
    for line in output.splitlines():
        where = re.match(r".*?\.py:(\d+): error: .* \[([a-z-]+)\]$", line)
        if where is not None:
            found.setdefault(int(where[1]), set()).add(where[2])
    return found


def marked(file: Path) -> dict[int, set[str]]:
    """The codes that the file says must be there, by line."""
    marks = ((number, re.search(r"# refused: (.+)$", line)) for number, line in enumerate(file.read_text().splitlines(), 1))
    return {number: set(mark[1].split()) for number, mark in marks if mark is not None}


def test_mypy_accepts_the_right_file() -> None:
    assert refused(HERE / "right.py") == {}


def test_mypy_refuses_exactly_the_marked_lines() -> None:
    wrong = HERE / "wrong.py"
    assert len(marked(wrong)) > 20
    assert refused(wrong) == marked(wrong)
