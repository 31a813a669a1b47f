"""Checks that an optional dependency is installed, and names the extra that installs it."""

from __future__ import annotations

from importlib.util import find_spec


def needs(module: str, extra: str) -> None:
    """Raise a `ModuleNotFoundError` that says what to install, if the module is missing."""
    if find_spec(module) is None:
        raise ModuleNotFoundError(f"this part of ipcfold needs {module}: pip install 'ipcfold[{extra}]'", name=module)
