"""The environment for processes whose output a test compares: that of a person's shell, whatever the tests themselves run in."""

import os
from typing import Final

# How the names of variables begin by which programs print other things: colours, other widths, more words for a log.
_CHANGES_OUTPUT: Final = ("CI", "BUILD_NUMBER", "FORCE_COLOR", "MYPY_FORCE_COLOR", "NO_COLOR", "PY_COLORS", "COLUMNS", "LINES", "PYTEST_")

PLAIN: Final = {name: value for name, value in os.environ.items() if not name.startswith(_CHANGES_OUTPUT)}
