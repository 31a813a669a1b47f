#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13. It needs `cc`.
#
# A task calls `asyncio.get_running_loop()` a thousand times.
# One expects no system call: the loop is in a variable of the thread, and the function is in C.
# On 3.11 each call asks the kernel for the process id, to notice a fork. From 3.12 on no call does.
# Each future, task, timeout and stream asks for the loop, so a library on 3.11 makes several system calls for one await.
#
# Source: observed; Modules/_asynciomodule.c, `get_running_loop`.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cat >"$place/counted.c" <<'EOF'
#include <sys/syscall.h>
#include <unistd.h>
long calls;
pid_t getpid(void) { calls++; return (pid_t)syscall(SYS_getpid); }
EOF
cc -shared -fPIC -o "$place/counted.so" "$place/counted.c"
LD_PRELOAD="$place/counted.so" "${PYTHON:-python3}" - <<'EOF'
import asyncio
import ctypes
import sys

calls = ctypes.c_long.in_dll(ctypes.CDLL(None), "calls")


async def main():
    before = calls.value
    for _ in range(1000):
        asyncio.get_running_loop()
    return calls.value - before


made = asyncio.run(main())
print("{}.{}: {} process ids in 1,000 calls".format(*sys.version_info[:2], made))
assert made == (1000 if sys.version_info < (3, 12) else 0)
EOF
