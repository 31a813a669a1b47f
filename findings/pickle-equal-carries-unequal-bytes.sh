#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13.
#
# Two processes compute the same value from the same inputs in the same order. One of them was restarted in between: it pickled its value,
# read it back, and went on.
# One expects that both pickle their equal values to the same bytes, so that a digest of the pickle tells whether they agree.
# The bytes differ, in every version of the protocol. `pickle` writes an object that it has met before as a
# reference to that. A constant of the code is one object for all values that were made since the start, and another object in those that
# were read back. So the bytes depend on which equal parts are the same object. `json` and `repr` give the same for both.
#
# Source: observed; Lib/pickle.py, `save` looks in its memo by `id`.
set -euo pipefail
"${PYTHON:-python3}" - <<'EOF'
import json
import pickle
from dataclasses import asdict, dataclass
from sys import version_info


@dataclass(frozen=True)
class Job:
    name: str
    state: str


def folded(jobs, name):
    """The jobs and one more, as a server adds it."""
    return {**jobs, name: Job(name, "open")}


def same(one, other, write):
    return write(one) == write(other)


through, restarted = {}, {}
for number in range(4):
    through, restarted = folded(through, f"job {number}"), folded(restarted, f"job {number}")
    if number == 1:
        restarted = pickle.loads(pickle.dumps(restarted))
assert through == restarted and list(through) == list(restarted)
found = {protocol: same(through, restarted, lambda jobs: pickle.dumps(jobs, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)}
assert not any(found.values()), found
as_json = same(through, restarted, lambda jobs: json.dumps({name: asdict(job) for name, job in jobs.items()}))
assert as_json and same(through, restarted, repr)
print("{}.{} equal values: True  same pickle: {}  same JSON: {}".format(version_info[0], version_info[1], set(found.values()), as_json))
EOF
