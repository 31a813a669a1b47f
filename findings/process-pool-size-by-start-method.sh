#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, Linux.
#
# A ProcessPoolExecutor with max_workers=6 gets one task.
# One expects the number of processes not to depend on how they are started: one as needed, or all six.
# With fork it starts six at once. With spawn and forkserver it starts one, and another only while none is idle.
# So a change of the start method changes how many processes a few short tasks run in: an idle worker is used again.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/show.py" <<'EOF'
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor


def children(method):
    with ProcessPoolExecutor(6, mp_context=multiprocessing.get_context(method)) as pool:
        pool.submit(os.getpid).result()
        return len(multiprocessing.active_children())


if __name__ == "__main__":
    seen = {method: children(method) for method in ("fork", "spawn", "forkserver")}
    print("processes after one task:", seen)
    assert seen == {"fork": 6, "spawn": 1, "forkserver": 1}
EOF
"${PYTHON:-python3}" "$work/show.py"
