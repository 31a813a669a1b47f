"""The build, for what `pyproject.toml` cannot say: the accelerator is optional, and `IPCFOLD_PURE=1` leaves it out."""

import os

from setuptools import Extension, setup

_FAST = Extension("ipcfold._fast", ["src/ipcfold/_fast.c"], optional=True)

setup(ext_modules=[] if os.environ.get("IPCFOLD_PURE") == "1" else [_FAST])
