#!/usr/bin/env bash
# Versions: attrs 26.1.0, CPython 3.11 to 3.13.
#
# A subclass of a frozen class takes assignments again with `__setattr__ = object.__setattr__`.
# One expects an assignment to cost what it costs in any class with slots, because no method in Python is left for it.
# It costs five to ten times as much: the type has one function in C for setting and deleting.
# While `__delattr__` is one in Python, each assignment looks up and calls `object.__setattr__` as a Python object.
# With `__delattr__ = object.__delattr__` as well, an assignment costs what it costs elsewhere.
#
# Source: `update_one_slot` in Objects/typeobject.c of CPython; that it happens here is observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'attrs==26.1.0'
cat > "$work/show.py" <<'EOF'
from timeit import repeat

import attrs


@attrs.frozen
class Point:
    x: int


class Plain:
    __slots__ = ("x",)


class Set(Point):
    __slots__ = ()
    __setattr__ = object.__setattr__


class SetAndDelete(Set):
    __slots__ = ()
    __delattr__ = object.__delattr__


def nanoseconds(value):
    return min(repeat("value.x = 2", globals={"value": value}, number=10_000, repeat=200)) / 10_000 * 1e9


plain = Plain()
took = {
    "an ordinary class with slots": nanoseconds(plain),
    "frozen, with __setattr__ of object": nanoseconds(Set(1)),
    "frozen, with both methods of object": nanoseconds(SetAndDelete(1)),
}
for what, time in took.items():
    print(f"{what:36} {time:6.1f} ns an assignment")
ordinary, alone, both = took.values()
assert alone > 2.5 * ordinary, "the method of setting alone is enough"
assert both < 1.7 * ordinary, "both methods are not enough"
EOF
"$work/venv/bin/python" "$work/show.py"
