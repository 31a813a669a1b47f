"""The process that fuzzes. It instruments the core and then runs libFuzzer, which ends the process.

`python -m tests.fuzz` starts it. It is a module of its own, since nothing may import the core before.
"""

import sys

import atheris

with atheris.instrument_imports(include=["ipcfold.core", "ipcfold.message"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    _, target, *options = sys.argv
    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    atheris.Fuzz()
