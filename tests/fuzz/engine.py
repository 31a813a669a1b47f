"""The process that fuzzes: instruments the core, then hands over to libFuzzer, which ends it.

`python -m tests.fuzz` starts it. It is a module of its own, since nothing of the core may be imported before.
"""

import sys

import atheris

with atheris.instrument_imports(include=["ipcfold.core", "ipcfold.message"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    _, target, *options = sys.argv
    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    atheris.Fuzz()
