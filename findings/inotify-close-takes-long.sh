#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, Linux 6.18.
#
# A process watches a directory with inotify, and closes the inotify descriptor.
# One expects close to take microseconds, as it does for an instance that watches nothing.
# It takes some 5 to 30 ms: the kernel waits until no other processor can see the watch, and frees it before close returns.
# inotify_rm_watch does not wait. If close follows it at once, it sometimes takes as long; 200 ms later it takes microseconds.
# So whoever waits for a file by inotify, and closes the watch before using the file, loses more time than by polling.
#
# Source: observed. fsnotify_destroy_group in fs/notify/group.c of Linux waits for the marks to be destroyed. inotify(7) does not say so.
set -euo pipefail
timeout 50 "${PYTHON:-python3}" - <<'PYTHON'
import ctypes
import os
import statistics
import tempfile
import time

IN_CREATE = 0x100
libc = ctypes.CDLL(None)


def took(call):
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def closing(prepare, pause=0.0):
    times = []
    for _ in range(15):
        instance = libc.inotify_init1(os.O_CLOEXEC)
        prepare(instance)
        time.sleep(pause)
        times.append(took(lambda: os.close(instance)))
    return statistics.median(times)


def watch(instance):
    assert libc.inotify_add_watch(instance, directory.encode(), IN_CREATE) == 1


def watch_and_remove(instance):
    watch(instance)
    removing.append(took(lambda: libc.inotify_rm_watch(instance, 1)))


removing = []
with tempfile.TemporaryDirectory() as directory:
    idle = closing(lambda instance: None)
    watching = closing(watch, 0.2)
    later = closing(watch_and_remove, 0.2)
print(f"close of an instance without a watch:         {idle:7.3f} ms")
print(f"close of an instance with a watch:            {watching:7.3f} ms")
print(f"inotify_rm_watch:                             {statistics.median(removing):7.3f} ms")
print(f"close 200 ms after inotify_rm_watch:          {later:7.3f} ms")
assert watching > 20 * idle  # medians of 15; the kernel waits for some ticks of its clock
assert later < watching / 5
PYTHON
