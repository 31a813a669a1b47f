#!/usr/bin/env bash
# Versions: mypy 2.4.1, pyright 1.1.414, pyrefly 1.5.0, ty 0.0.108, attrs 26.1.0.
#
# A frozen class has a type parameter of the syntax of 3.12, `class Box[T]`, whose variance the checker infers.
# One expects it to be covariant, as its only field cannot be set: a Box[int] is a Box[object].
# For a dataclass, pyright and ty say so if the program is for 3.12, and the opposite if it is for 3.13.
# From 3.13 on a frozen class has `__replace__`, which takes the field as a parameter, and that makes it invariant.
# mypy calls the dataclass covariant always, and a class of `attrs.frozen` invariant always. pyrefly calls both covariant always.
# So a library with such a class is right or wrong by the checker and by the version that its user chooses.
# A TypeVar that is declared covariant is accepted by all of them.
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
from dataclasses import dataclass
from typing import Generic, TypeVar

import attrs

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Plain[T]:
    content: T


@attrs.frozen
class Attrs[T]:
    content: T


@dataclass(frozen=True)
class DeclaredPlain(Generic[T_co]):
    content: T_co


@attrs.frozen
class DeclaredAttrs(Generic[T_co]):
    content: T_co


def widen_plain(box: Plain[int]) -> Plain[object]:
    return box


def widen_attrs(box: Attrs[int]) -> Attrs[object]:
    return box


def widen_declared(one: DeclaredPlain[int], two: DeclaredAttrs[int]) -> tuple[DeclaredPlain[object], DeclaredAttrs[object]]:
    return one, two
EOF
check() { # checker, version
    case $1 in
        mypy) "$bin/mypy" --strict --python-version "$2" program.py ;;
        pyright) "$bin/pyright" --pythonpath "$bin/python" --pythonversion "$2" program.py ;;
        pyrefly) "$bin/pyrefly" check --python-interpreter-path "$bin/python" --python-version "$2" program.py ;;
        ty) "$bin/ty" check --python "$work/venv" --python-version "$2" program.py ;;
    esac
}
variance() { # line of the program
    if grep -q "program.py:$1[: ]" output; then echo invariant; else echo covariant; fi
}
for checker in mypy pyright pyrefly ty; do
    for version in 3.12 3.13; do
        check $checker $version > output 2>&1 || grep -qE 'program.py:(30|34)[: ]' output || { cat output >&2; exit 1; }
        if grep -q 'program.py:38' output; then cat output >&2; exit 1; fi
        echo "$checker, for $version: dataclass $(variance 30), attrs $(variance 34)"
    done
done | tee seen
diff seen - <<'EOF'
mypy, for 3.12: dataclass covariant, attrs invariant
mypy, for 3.13: dataclass covariant, attrs invariant
pyright, for 3.12: dataclass covariant, attrs covariant
pyright, for 3.13: dataclass invariant, attrs invariant
pyrefly, for 3.12: dataclass covariant, attrs covariant
pyrefly, for 3.13: dataclass covariant, attrs covariant
ty, for 3.12: dataclass covariant, attrs covariant
ty, for 3.13: dataclass invariant, attrs invariant
EOF
