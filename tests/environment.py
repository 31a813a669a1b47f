"""Where the tests are, and the environment for processes whose output a test compares: that of a person's shell, wherever the tests run."""

import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]

# How the names of variables begin by which programs print other things: colours, other widths, more words for a log.
_CHANGES_OUTPUT: Final = ("CI", "BUILD_NUMBER", "FORCE_COLOR", "MYPY_FORCE_COLOR", "NO_COLOR", "PY_COLORS", "COLUMNS", "LINES", "PYTEST_")

# Of Python's own, these only change where modules are found and kept. PYTHONUNBUFFERED is not among them: with it, Python writes
# a line and its end apart, so that the lines of two processes mix.
_KEPT: Final = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONNOUSERSITE")

PLAIN: Final = {name: value for name, value in os.environ.items() if name in _KEPT or not name.startswith(("PYTHON", *_CHANGES_OUTPUT))}
