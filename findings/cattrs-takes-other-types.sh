#!/usr/bin/env bash
# Versions: cattrs 26.2.1, attrs 26.1.0, CPython 3.11.
#
# cattrs structures JSON into typed values, and raises for an `int` that is "a". One expects that a value that it returns is of the type.
# A text and an object are a list[str]: of its letters, of its keys. A Literal[1] is the float 1.0, unchanged. An enum takes true for its member 1.
# The other direction does not look at values. A list[int] writes texts, and the class of a field writes another class.
#
# Source: the documentation of cattrs says that it takes any iterable, and that unstructuring does not check. For literals and enums, observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'cattrs==26.2.1' 'attrs==26.1.0'
cat > "$work/show.py" <<'EOP'
from enum import Enum
from typing import Literal

import attrs
from cattrs.preconf.json import make_converter


class Level(Enum):
    LOW = 1


@attrs.frozen
class Leaf:
    value: int


@attrs.frozen
class Node:
    child: "Node | None"


converter = make_converter(forbid_extra_keys=True)
seen = {
    "a text as list[str]": converter.loads('"abc"', list[str]),
    "an object as list[str]": converter.loads('{"a": 1}', list[str]),
    "1.0 as Literal[1]": converter.loads("1.0", Literal[1]),
    "true as the member 1": converter.loads("true", Level),
    "texts from list[int]": converter.dumps(["a"], list[int]),
    "a Leaf as a Node": converter.dumps(Node(Leaf(1)), Node),
}
for what, got in seen.items():
    print(f"{what:24} {got!r}")
assert list(seen.values()) == [["a", "b", "c"], ["a"], 1.0, Level.LOW, '["a"]', '{"child": {"value": 1}}']
assert type(seen["1.0 as Literal[1]"]) is float
EOP
timeout 30 "$work/venv/bin/python" "$work/show.py"
