#!/usr/bin/env bash
# Versions: returns 0.30.0, CPython 3.11.
#
# managed(use, release) of returns acquires a resource, uses it and releases it, as a pipeline.
# One expects release to be called whatever use does, as a with statement does.
# It is called for a Success and for a Failure of use. It is not called when use raises an exception.
# The resource stays open, and the exception goes on to the caller.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'returns==0.30.0'
cat > "$work/show.py" <<'EOF'
from returns.io import IOFailure, IOSuccess
from returns.pipeline import managed

released = []


def release(resource, outcome):
    released.append(resource)
    return IOSuccess(None)


def raises(resource):
    raise ValueError(resource)


for name, use in ("success", IOSuccess), ("failure", IOFailure), ("exception", raises):
    try:
        managed(use, release)(IOSuccess(name))
    except ValueError:
        pass
print("released after:", *released)
assert released == ["success", "failure"]
EOF
"$work/venv/bin/python" "$work/show.py"
