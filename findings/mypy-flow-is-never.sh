#!/usr/bin/env bash
# Versions: mypy 2.4.1, returns 0.30.0, pyright 1.1.414, pyrefly 1.5.0, ty 0.0.108, CPython 3.11.
#
# A valid program calls flow of returns, and each checker reveals the type of the call.
# One expects a checker without the mypy plugin of returns to say Any, and mypy with it to know the type however flow was found.
# mypy without its plugin says Never, which fits every type that one declares for the result.
# pyright, pyrefly and ty say Unknown.
# mypy with the plugin says Result[float, str], but the plugin goes by the name under which flow was defined or imported.
# It knows a flow re-exported by "from returns.pipeline import flow as flow".
# It does not know the same function re-exported by "flow = pipeline.flow", which is Never again, without a warning.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'mypy==2.4.1' 'returns==0.30.0' 'pyright==1.1.414' 'pyrefly==1.5.0' 'ty==0.0.108'
export PYRIGHT_PYTHON_FORCE_VERSION=1.1.414 PYRIGHT_PYTHON_IGNORE_WARNINGS=1
echo 'from returns.pipeline import flow as flow' > "$work/by_import.py"
printf 'from returns import pipeline\n\nflow = pipeline.flow\n' > "$work/by_assignment.py"
program() { # the module to take flow from
    cat <<EOF
from typing import reveal_type

from returns.pointfree import bind
from returns.result import Result, Success
from $1 import flow


def parse(text: str) -> Result[int, str]:
    return Success(int(text))


def half(number: int) -> Result[float, str]:
    return Success(number / 2)


reveal_type(flow("1", parse, bind(half)))
EOF
}
program returns.pipeline > "$work/direct.py"
program by_import > "$work/imported.py"
program by_assignment > "$work/assigned.py"
printf '[mypy]\nstrict = true\nplugins = returns.contrib.mypy.returns_plugin\n' > "$work/plugin.ini"
printf '[mypy]\nstrict = true\n' > "$work/plain.ini"
cd "$work"
bin=$work/venv/bin
"$bin/mypy" --config-file plugin.ini direct.py imported.py assigned.py > mypy_plugin
"$bin/mypy" --config-file plain.ini direct.py > mypy_plain
"$bin/pyright" --pythonpath "$bin/python" direct.py > pyright
"$bin/pyrefly" check --python-interpreter-path "$bin/python" direct.py > pyrefly 2>&1
"$bin/ty" check --python "$work/venv" direct.py > ty 2>&1
for checker in mypy_plugin mypy_plain pyright pyrefly ty; do
    grep -oE '[a-z]+\.py:.*Revealed type is .*|Type of .* is .*|revealed type: [^ ]+|\^ `.*`' $checker | sed "s/^/$checker: /"
done
for how in direct imported; do
    grep -q "^$how.py:.*Result\[float, str\]" mypy_plugin
done
grep -q '^assigned.py:.*"Never"' mypy_plugin
grep -q '^direct.py:.*"Never"' mypy_plain
for checker in pyright pyrefly ty; do
    grep -q Unknown $checker
done
