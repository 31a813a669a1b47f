#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13.
#
# `os.lstat` and `os.unlink` get a `pathlib.Path`, and one allocation inside of the call fails, each in turn.
# One expects a `MemoryError`, as the manual says of an operation that runs out of memory.
# One of the allocations gives a `TypeError`: "path should be string, bytes or os.PathLike, not PosixPath".
# The look-up of `__fspath__` makes a bound method. Where that fails, the converter of paths takes it for an absent `__fspath__`, and
# raises its own error instead. So code that handles `MemoryError` alone does not handle a lack of memory.
#
# Source: observed; Modules/posixmodule.c, `path_converter`.
set -euo pipefail
"${PYTHON:-python3}" - <<'EOF'
import os
import sys
from pathlib import Path

from _testcapi import remove_mem_hooks, set_nomemory

missing = Path("/tmp/no-such-file-of-this-script")


def call_without_memory(call, number):
    """What the call raises if its allocation of this number fails."""
    error = None
    set_nomemory(number, number + 1)
    try:
        call(missing)
    except FileNotFoundError:
        pass
    except Exception as raised:
        error = raised
    finally:
        remove_mem_hooks()
    return error


for call in (os.lstat, os.unlink):
    held = [getattr(missing, "__fspath__") for _ in range(1000)]  # so that no memory of a former bound method is reused
    errors = [error for error in (call_without_memory(call, number) for number in range(30)) if error is not None]
    texts = sorted({f"{type(error).__name__}: {error}" for error in errors})
    print("{}.{} {}: {}".format(*sys.version_info[:2], call.__name__, texts))
    assert {type(error) for error in errors} == {TypeError, MemoryError}
    assert f"TypeError: {call.__name__}: path should be string, bytes or os.PathLike, not PosixPath" in texts
EOF
