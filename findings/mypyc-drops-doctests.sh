#!/usr/bin/env bash
# Versions: mypy 2.4.1 with mypyc, CPython 3.11. It wants a C compiler.
#
# A module has a function with an example in its docstring. doctest runs it.
# One expects doctest to run it as well in the module that mypyc compiled, or to fail.
# A compiled function has no docstring. doctest finds no example and reports success, and help() has nothing to show.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'mypy[mypyc]==2.4.1' 'setuptools==80.9.0'
mkdir "$work/interpreted" "$work/compiled"
cat > "$work/interpreted/doubling.py" <<'EOF'
def twice(number: int) -> int:
    """Double a number.

    >>> twice(2)
    4
    """
    return number * 2
EOF
cat > "$work/show.py" <<'EOF'
import doctest

import doubling

found = doctest.testmod(doubling)
print(f"docstring: {doubling.twice.__doc__ is not None}, examples: {found.attempted}, failures: {found.failed}")
EOF
cd "$work/compiled"
cp ../interpreted/doubling.py .
MYPYC_OPT_LEVEL=0 "$work/venv/bin/mypyc" --strict doubling.py > log 2>&1 || { cat log; exit 1; }
rm doubling.py # what is left is the compiled module
for how in interpreted compiled; do
    PYTHONPATH=$work/$how "$work/venv/bin/python" "$work/show.py" > "$work/$how/out"
    echo "$how: $(cat "$work/$how/out")"
done
grep -qx 'docstring: True, examples: 1, failures: 0' "$work/interpreted/out"
grep -qx 'docstring: False, examples: 0, failures: 0' "$work/compiled/out"
