"""Hypothesis profiles: `ci` repeats the same examples, `dev` looks for new ones; no verdict of either depends on time.

`long` tries many more examples, for `.ci/sanitize`.
`mutants` is for tests of the tests: as `ci`, but a mutant is killed by the first example that fails, so none is shrunk.
"""

import os
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from ipcfold import IPC

pytest_plugins = ["ipcfold.testing.plugin", "pytester", "tests.shells.fixtures"]

collect_ignore = [
    *map(
        str, set(Path(__file__).parent.glob("typesafety/*.py")) - set(Path(__file__).parent.glob("typesafety/test_*.py"))
    ),  # for checkers only
    "fuzz/engine.py",  # a process of its own, which needs what tests do not
]

# The extra `lint` has the checkers, and the extra `test` does not. `.ci/run` names the file, so that it fails where one is missing.
if not all(map(find_spec, ("pyrefly", "pyright", "ty"))):
    collect_ignore.append("typesafety/test_checkers.py")

pytest.register_assert_rewrite("tests.shells.contract", "tests.shells.pressure", "tests.shells.support", "tests.shells.wire")

settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.register_profile("long", settings.get_profile("dev"), max_examples=2000)
settings.register_profile("mutants", settings.get_profile("ci"), phases=[Phase.explicit, Phase.generate], print_blob=False)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


# A job in the background ignores SIGINT, and one of nohup SIGHUP, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def directory(ipc: IPC) -> Path:
    """A directory for sockets: of mode 0700, and with a path short enough."""
    assert ipc.directory is not None
    return ipc.directory


def pytest_runtest_setup() -> None:
    """A test of the command may have left another handler of Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
