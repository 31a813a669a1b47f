"""The build, for what `pyproject.toml` cannot say: with `IPCFOLD_COMPILE=1` in the environment, mypyc compiles the core.

    IPCFOLD_COMPILE=1 pip install .

That wants a C compiler. The compiled modules take the place of those in Python, which are installed beside them.
"""

import os
from pathlib import Path

from setuptools import setup

_COMPILED = sorted(str(path) for path in Path("src/ipcfold/core").glob("[a-z]*.py"))

if os.environ.get("IPCFOLD_COMPILE") != "1":
    setup()
else:
    try:
        from mypyc.build import mypycify
    except ImportError:  # asked what the build needs: it is only then installed
        setup(setup_requires=["mypy[mypyc]>=1.19,<2.5", "attrs>=24.2", "returns>=0.25"])
    else:
        setup(ext_modules=mypycify(["--config-file=mypy.ini", *_COMPILED], opt_level="3", group_name="ipcfold"))
