"""What only some parts of the library stand on: an extra each, and a word of advice where it is not installed."""

from __future__ import annotations

from importlib.util import find_spec


def needs(module: str, extra: str) -> None:
    """Raise a `ModuleNotFoundError` that says what to install, if this module of others is not there."""
    if find_spec(module) is None:
        raise ModuleNotFoundError(f"this part of ipcfold needs {module}: pip install 'ipcfold[{extra}]'", name=module)
