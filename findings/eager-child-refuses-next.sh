#!/usr/bin/env bash
# Versions: CPython 3.12.1 and 3.13.0.
#
# A loop has `asyncio.eager_task_factory`. In a TaskGroup the first child fails, and the next line creates another child.
# One expects what is so without the factory: both are created, and the group cancels the second and raises what the first raised.
# An eager child runs within `create_task`. If it fails there, the group shuts down at once, and the next `create_task` raises RuntimeError.
# That error leaves the body, so that the ExceptionGroup has both, and `except* ValueError` lets the RuntimeError through, in 3.13.
# In 3.12.1 the task that has the group is cancelled as well, after the group has ended and its errors were handled.
# A program has no `await` between the two calls, and so no place where it expects to be told.
#
# Source: asyncio/taskgroups.py, `create_task`; observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/show.py" <<'EOF'
import asyncio
import sys
import warnings

if sys.version_info < (3, 12):
    sys.exit("eager_task_factory came with Python 3.12")


async def fail():
    raise ValueError("child")


async def run(factory):
    asyncio.get_running_loop().set_task_factory(factory)
    created = []
    try:
        async with asyncio.TaskGroup() as group:
            created.append(group.create_task(fail()))
            created.append(group.create_task(asyncio.sleep(0)))
    except ExceptionGroup as error:
        return len(created), sorted(type(each).__name__ for each in error.exceptions)


warnings.simplefilter("ignore")  # the coroutine that was refused never ran
latest = sys.version_info >= (3, 13)
for name, factory, expected in (
    ("default", None, (2, ["ValueError"])),
    ("eager", asyncio.eager_task_factory, (1, ["RuntimeError", "ValueError"]) if latest else "cancelled"),
):
    try:
        seen = asyncio.run(run(factory))
    except asyncio.CancelledError:
        seen = "cancelled"
    print(f"{name} tasks (created, raised): {seen}")
    assert seen == expected
EOF
"${PYTHON:-python3}" "$work/show.py"
