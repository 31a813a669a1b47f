"""At the end, say how many messages the accelerator has folded in servers that are driven by hand, in all processes of pytest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pytest

from tests.accelerator import builds


class _Node(Protocol):
    """A process of pytest that runs tests, as pytest-xdist describes it."""

    workeroutput: Mapping[str, int]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the number to the process that reports, if this one does not."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["folded"] = builds.folded.total()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: _Node) -> None:
    """Add the number of a process. One that has crashed sends none."""
    builds.folded["elsewhere"] += getattr(node, "workeroutput", {}).get("folded", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the sum, if there is one."""
    if folded := builds.folded.total():
        terminalreporter.write_line(f"The accelerator has folded {folded:,} messages in servers that are driven by hand.")
