"""Notices a fork that ran no hooks of Python, at the cost of reading a byte."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable
from typing import Final

_WIPE_ON_FORK: Final = 18  # MADV_WIPEONFORK of <linux/mman.h>, which Python does not name


def wiped_by_fork() -> mmap.mmap | bytes:
    """A byte that is 1 in this process, and 0 in a forked child of it. Where the system cannot do that, the child finds 1, too.

    To ask for the process id instead is a system call, which takes a noticeable part of the time of a message.
    """
    if sys.platform == "linux":
        try:
            page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            page.madvise(_WIPE_ON_FORK)
        except OSError:  # there is no memory left, or the kernel is older than 4.14
            return b"\1"
        page[0] = 1
        return page
    return b"\1"


def _kept() -> Callable[[], int]:
    """How to get the process id without a system call, if the system can wipe a page at a fork."""
    page, kept = wiped_by_fork(), os.getpid()
    if isinstance(page, bytes):
        return os.getpid

    def process_id() -> int:
        nonlocal kept
        if not page[0]:
            kept = os.getpid()
            page[0] = 1
        return kept

    return process_id


process_id: Final = _kept()
"""The same as `os.getpid`, and faster."""
