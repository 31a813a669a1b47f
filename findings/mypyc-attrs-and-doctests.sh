#!/usr/bin/env bash
# Versions: mypy 2.4.1 with mypyc, attrs 26.1.0, CPython 3.11 to 3.13. It wants a C compiler.
#
# Two modules are valid for strict mypy, and mypyc compiles both without a word.
# One has a frozen attrs class with "count: int = attrs.field(default=3)". One expects it to work, or to be refused.
# Its import raises TypeError: compiled code checks that the placeholder of attrs is an int. With "count: int = 3" it works.
# The other has a function and a class with a docstring each. One expects doctest to run their examples as before.
# A compiled function has no docstring. doctest runs no example at all, and reports success.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'mypy[mypyc]==2.4.1' 'setuptools==80.9.0' 'attrs==26.1.0'
mkdir "$work/interpreted" "$work/compiled"
cd "$work/interpreted"
class() { # the default of count
    printf 'import attrs\n\n\n@attrs.frozen\nclass Total:\n    """A total.\n\n    >>> Total().count\n    3\n    """\n\n    count: int = %s\n' "$1"
}
class 'attrs.field(default=3)' > with_field.py
{
    class 3
    printf '\n\ndef twice(number: int) -> int:\n    """Double a number.\n\n    >>> twice(2)\n    4\n    """\n    return number * 2\n'
} > plain.py
cat > "$work/show.py" <<'EOF'
import doctest
import importlib

plain = importlib.import_module("plain")
try:
    made = repr(importlib.import_module("with_field").Total())
except TypeError as error:
    made = type(error).__name__
examples = doctest.testmod(plain)
print(f"attrs.field: {made}; a plain default: {plain.Total()}; doctest: {examples.attempted} examples, {examples.failed} failures")
EOF
cd "$work/compiled"
cp ../interpreted/*.py .
MYPYC_OPT_LEVEL=0 "$work/venv/bin/mypyc" --strict with_field.py plain.py > log 2>&1 || { cat log; exit 1; }
rm ./*.py # what is left are the compiled modules
for how in interpreted compiled; do
    PYTHONPATH=$work/$how "$work/venv/bin/python" "$work/show.py" > "$work/$how/out"
    echo "$how: $(cat "$work/$how/out")"
done
grep -qx 'attrs.field: Total(count=3); a plain default: Total(count=3); doctest: 2 examples, 0 failures' "$work/interpreted/out"
grep -qx 'attrs.field: TypeError; a plain default: Total(count=3); doctest: 0 examples, 0 failures' "$work/compiled/out"
