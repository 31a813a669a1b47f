#!/usr/bin/env bash
# Versions: mypy 2.4.1 with mypyc, attrs 26.1.0, CPython 3.11. It wants a C compiler.
#
# A frozen attrs class has an attribute "count: int = attrs.field(default=3)". Strict mypy accepts it.
# One expects mypyc to compile it so that it works, or to refuse it: it knows attrs classes, and those with plain defaults work.
# mypyc compiles it without a word, and the import raises TypeError: the placeholder that attrs.field returns is no int.
# With "count: int = 3" the compiled class works.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'mypy[mypyc]==2.4.1' 'setuptools==80.9.0' 'attrs==26.1.0'
mkdir "$work/interpreted" "$work/compiled"
cd "$work/interpreted"
program='import attrs\n\n\n@attrs.frozen\nclass Total:\n    count: int = %s\n'
# shellcheck disable=SC2059
printf "$program" 'attrs.field(default=3)' > with_field.py
# shellcheck disable=SC2059
printf "$program" 3 > plain.py
cat > "$work/show.py" <<'EOF'
import importlib


def made(module):
    try:
        return repr(importlib.import_module(module).Total())
    except TypeError as error:
        return type(error).__name__


print(f"attrs.field: {made('with_field')}; a plain default: {made('plain')}")
EOF
cd "$work/compiled"
cp ../interpreted/*.py .
MYPYC_OPT_LEVEL=0 "$work/venv/bin/mypyc" --strict with_field.py plain.py > log 2>&1 || { cat log; exit 1; }
rm ./*.py # what is left are the compiled modules
for how in interpreted compiled; do
    PYTHONPATH=$work/$how "$work/venv/bin/python" "$work/show.py" > "$work/$how/out"
    echo "$how: $(cat "$work/$how/out")"
done
grep -qx 'attrs.field: Total(count=3); a plain default: Total(count=3)' "$work/interpreted/out"
grep -qx 'attrs.field: TypeError; a plain default: Total(count=3)' "$work/compiled/out"
