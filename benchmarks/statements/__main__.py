"""The command: `python -m benchmarks.statements [LIBRARY ...]`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

from benchmarks.statements.seen import looked, statements

LIBRARIES: Final = {
    "standard": "",
    "zeromq": "zmq",
    "rpyc": "rpyc",
    "grpc": "grpc",
    "iceoryx2": "iceoryx2",
    "zenoh": "zenoh",
}
"""The modules beside this one, and what has to be importable for each."""


def main(wanted: list[str]) -> int:
    """Look at all statements, and print them; the exit status says whether all hold."""
    if unknown := set(wanted) - set(LIBRARIES):
        print(f"there are no statements of {', '.join(sorted(unknown))}: choose from {', '.join(LIBRARIES)}", file=sys.stderr)
        return 2
    found = list(_all(wanted or list(LIBRARIES)))
    print(f"\n{sum(found)} of {len(found)} statements hold")
    return 0 if all(found) else 1


def _all(wanted: list[str]) -> Iterator[bool]:
    for name in wanted:
        print(f"\n{name}")
        if (needs := LIBRARIES[name]) and find_spec(needs) is None:
            print("  missing: its package is not installed; the extra `bench` has it")
            continue
        for index, statement in enumerate(statements(name)):
            seen = looked(name, index)
            verdict = "holds" if seen.holds else "DOES NOT HOLD"
            print(f"- {statement.text}\n  seen: {seen.what}\n  {verdict}", flush=True)
            yield seen.holds


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
