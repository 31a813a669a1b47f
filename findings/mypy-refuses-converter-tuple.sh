#!/usr/bin/env bash
# Versions: mypy 2.4.1, pyright 1.1.414, pyrefly 1.5.0, ty 0.0.108, attrs 26.1.0.
#
# A class of attrs has `field(converter=tuple)`, so that callers may give a list, and the field is a frozen `tuple[int, ...]`.
# One expects mypy, which has a plugin for attrs, to take the parameter for an iterable of int. pyright, pyrefly and ty accept each call.
# mypy takes it for an iterable of a type variable that belongs to nobody. It refuses `[1, 2]` and `(1, 2)`, and accepts `()`.
# It is alike for list and frozenset. `converter=tuple[int, ...]` is accepted, and checks what callers give.
# `converter=frozenset[int]` is refused as unsupported, and a lambda asks for a type. A named function with types is accepted always.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
bin=$work/venv/bin
"$bin/pip" install --quiet --disable-pip-version-check mypy==2.4.1 pyright==1.1.414 pyrefly==1.5.0 ty==0.0.108 attrs==26.1.0
export PYRIGHT_PYTHON_FORCE_VERSION=1.1.414 PYRIGHT_PYTHON_IGNORE_WARNINGS=1
cd "$work"
cat > program.py <<'EOF'
from collections.abc import Iterable

import attrs


def frozen(numbers: Iterable[int]) -> tuple[int, ...]:
    return tuple(numbers)


@attrs.frozen
class ByType:
    numbers: tuple[int, ...] = attrs.field(converter=tuple)


@attrs.frozen
class ByFunction:
    numbers: tuple[int, ...] = attrs.field(converter=frozen)


@attrs.frozen
class ByAlias:
    numbers: tuple[int, ...] = attrs.field(converter=tuple[int, ...])


ByFunction([1, 2])
ByAlias([1, 2])
ByType(())
ByType([1, 2])
ByType((1, 2))
EOF
cat > others.py <<'EOF'
import attrs


@attrs.frozen
class ByAlias:
    numbers: frozenset[int] = attrs.field(converter=frozenset[int])


@attrs.frozen
class ByLambda:
    numbers: tuple[int, ...] = attrs.field(converter=lambda numbers: tuple(numbers))
EOF
"$bin/python" program.py
"$bin/python" others.py
"$bin/mypy" --strict program.py others.py > seen || true
cat seen
[ "$(grep -c ': error: ' seen)" = 5 ]
grep -q '^program.py:28: error: List item 0 has incompatible type "int"; expected "_T_co"' seen
grep -q '^program.py:29: error: .* has incompatible type "tuple\[int, int\]"; expected "Iterable\[_T_co\]"' seen
grep -q '^others.py:6: error: Unsupported converter' seen
grep -q '^others.py:11: error: Need type annotation for "numbers"' seen
for checker in "pyright --pythonpath $bin/python" "pyrefly check --python-interpreter-path $bin/python" "ty check --python $work/venv"; do
    $bin/$checker program.py > output 2>&1 || { cat output; exit 1; }
    echo "accepted: ${checker%% *}"
done
