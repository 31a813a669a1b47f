#!/usr/bin/env bash
# Versions: mypy 2.4.1, returns 0.30.0, pyright 1.1.414, pyrefly 1.5.0, ty 0.0.108, CPython 3.11.
#
# A function matches a Result[int, str] of returns with the patterns Success(value) and Failure(error).
# One expects value to be int and error to be str, above all in mypy, whose plugin returns ships.
# mypy makes both Any, in spite of the plugin. A strict mypy then rejects the valid function for returning Any.
# pyright, pyrefly and ty, for which returns has no plugin, say int and str.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'mypy==2.4.1' 'returns==0.30.0' 'pyright==1.1.414' 'pyrefly==1.5.0' 'ty==0.0.108'
export PYRIGHT_PYTHON_FORCE_VERSION=1.1.414 PYRIGHT_PYTHON_IGNORE_WARNINGS=1
cat > "$work/shown.py" <<'EOF'
from typing import reveal_type

from returns.result import Failure, Result, Success


def amount(result: Result[int, str]) -> int:
    match result:
        case Success(value):
            reveal_type(value)
            return value
        case Failure(error):
            reveal_type(error)
    return 0
EOF
printf '[mypy]\nstrict = true\nplugins = returns.contrib.mypy.returns_plugin\n' > "$work/plugin.ini"
cd "$work"
bin=$work/venv/bin
"$bin/mypy" --config-file plugin.ini shown.py > mypy || true
"$bin/pyright" --pythonpath "$bin/python" shown.py > pyright || true
"$bin/pyrefly" check --python-interpreter-path "$bin/python" shown.py > pyrefly 2>&1 || true
"$bin/ty" check --python "$work/venv" shown.py > ty 2>&1 || true
for checker in mypy pyright pyrefly ty; do
    echo "$checker: $(grep -oE 'Revealed type is "[^"]*"|Type of .* is "[^"]*"|revealed type: [a-z]+|\^ `[a-z]+`|Returning Any from function' $checker | tr '\n' ';')"
done
[ "$(grep -c 'Revealed type is "Any"' mypy)" = 2 ] && grep -q 'Returning Any from function' mypy
grep -q '"value" is "int"' pyright && grep -q '"error" is "str"' pyright
grep -q 'revealed type: int' pyrefly && grep -q 'revealed type: str' pyrefly
grep -q '`int`' ty && grep -q '`str`' ty
