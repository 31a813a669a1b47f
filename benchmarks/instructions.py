"""Counts the instructions of a message, and compares them with stored budgets.

    python -m benchmarks.instructions            compare with `instructions.json`; more than 1.05 of a budget fails
    python -m benchmarks.instructions --store    store what is counted, also for `multiprocessing.connection`

Seconds depend on what else the machine does; these instructions do not. callgrind counts them in a process that has one end of a
connection and uses the public interface. This process has the other end. It writes only when the counted end waits, and in
one piece. `counted.c` lets time stand still for the counted end. So that end takes the same steps each time.

Budgets hold for one build of Python. With another one, the counts are only printed.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from benchmarks.counted import CLIENT, HEARTBEAT, MESSAGE, MESSAGES, NAME, SERVER, answer, converse
from ipcfold import IPC, accelerated
from ipcfold.core.wire import Signal, encode

BUDGETS: Final = Path(__file__).with_name("instructions.json")
PEER: Final = "multiprocessing.connection"
_SLACK: Final = 1.05
_AGAIN: Final = 2  # times; a change that costs more does so each time
_PATIENCE: Final = 300.0  # seconds, to end a run that hangs
_SOURCE: Final = Path(__file__).with_name("counted.c")
_ROOT: Final = Path(__file__).parents[1]
_ENDS: Final = ("client", "server")
_BUILDS: Final = {"accelerated": "0", "pure Python": "1"}
"""The builds, and `IPCFOLD_PURE` for them."""

Counts = dict[str, int]


def over(counts: Mapping[str, int], budgets: Mapping[str, int]) -> list[str]:
    """The counts that are more than 1.05 of their budgets. A count without a budget may have any size."""
    return [what for what, count in counts.items() if what in budgets and count > _SLACK * budgets[what]]


def lasting(excess: list[str], count: Callable[[], Counts], budgets: Mapping[str, int]) -> list[str]:
    """The counts that stay over their budgets when they are made again. A thread that starts late puts some messages on another path."""
    for _ in range(_AGAIN):
        if not excess:
            break
        again = over(count(), budgets)
        excess = [what for what in excess if what in again]
    return excess


def build_of_python() -> str:
    """The build of Python that a budget holds for: another compiler, or other optimizations, make other counts."""
    version = ".".join(platform.python_version_tuple()[:2])
    profiled = "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS"))
    return f"CPython {version} on {platform.machine()}, {platform.python_compiler()}, {'with' if profiled else 'without'} PGO"


def obstacle() -> str:
    """Why nothing can be counted here; empty if it can."""
    if sys.platform != "linux":
        return "callgrind counts on Linux only"
    for program in ("valgrind", "cc"):
        if not shutil.which(program):
            return f"there is no {program}"
    if _compiled("-E", "-o", os.devnull).returncode:
        return "there is no valgrind/callgrind.h, which comes with valgrind or its package for developers"
    return ""


def counted(ends: Iterable[str]) -> Counts:
    """The instructions of a message in each workload, at these ends, of each build that is there."""
    counts = Counts()
    with _still() as library:
        for build, pure in _BUILDS.items():
            if accelerated or build == "pure Python":
                run = partial(_run, {"LD_PRELOAD": library, "IPCFOLD_PURE": pure})
                for end in ends:
                    found = _client(run) if end == "client" else _server(run)
                    counts |= {f"{workload}, {build}, {end}": count for workload, count in found.items()}
    return counts


def counted_peer() -> Counts:
    """The same for `multiprocessing.connection`."""
    with _still() as library:
        run = partial(_run, {"LD_PRELOAD": library})
        return {f"round trip, {PEER}, {end}": _peer(run, end, other) for end, other in (("client", answer), ("server", converse))}


# Runs an end, with these arguments and descriptors, beside the other end. Returns the counts between its marks.
_Run = Callable[[tuple[str, str], tuple[int, ...], Callable[[], None]], list[int]]


def _client(run: _Run) -> Counts:
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(_PATIENCE)
        listener.bind(f"{directory}/{NAME}.sock")
        listener.listen()
        return _second(CLIENT, run(("client", directory), (), partial(_serve, listener)))


def _server(run: _Run) -> Counts:
    with tempfile.TemporaryDirectory() as directory:
        return _second(SERVER, run(("server", directory), (), partial(_converse, Path(directory))))


def _peer(run: _Run, end: str, other: Callable[[Connection], None]) -> int:
    def converse() -> None:
        theirs.close()
        for _ in range(2):
            other(ours)

    ours, theirs = Pipe()
    with ours:
        return run((f"peer's {end}", str(theirs.fileno())), (theirs.fileno(),), converse)[2] // MESSAGES


def _second(workloads: Iterable[str], parts: list[int]) -> Counts:
    """The counts of the second time of each workload. Before the first mark nothing is counted."""
    return {workload: count // MESSAGES for workload, count in zip(workloads, parts[2::2], strict=True)}


def _serve(listener: socket.socket) -> None:
    """Answer each batch at once."""
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(_PATIENCE)
        connection.sendall(Signal.START.frame)
        _read(connection, len(Signal.START_OK.frame))
        frame = encode(MESSAGE)
        for batch in CLIENT.values():
            for _ in range(2 * MESSAGES // batch):
                _read(connection, batch * len(frame))
                connection.sendall(batch * (Signal.RECEIVED.frame + frame))


def _read(connection: socket.socket, size: int) -> None:
    while size:
        data = connection.recv(size)
        if not data:
            raise EOFError
        size -= len(data)


def _converse(directory: Path) -> None:
    """Send each batch at once, and wait for all answers to it."""
    process = IPC(directory, heartbeat=HEARTBEAT).wait(NAME, _PATIENCE).unwrap()
    for batch in SERVER.values():
        for _ in range(2 * MESSAGES // batch):
            process.send(*[MESSAGE] * batch).unwrap()
            for _ in range(batch):
                process.wait(_PATIENCE).unwrap()
    process.send(MESSAGE)  # the server marks it, and ends


def _run(environment: Mapping[str, str], arguments: tuple[str, str], descriptors: tuple[int, ...], other: Callable[[], None]) -> list[int]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "IPCFOLD"))}
    with tempfile.TemporaryDirectory() as name:
        out = Path(name, "out")
        tool = ["valgrind", "--tool=callgrind", "--quiet", "--instr-atstart=no", "--separate-threads=yes", f"--callgrind-out-file={out}"]
        process = subprocess.Popen(  # noqa: S603 - the command is chosen here
            [*tool, sys.executable, "-m", "benchmarks.counted", *arguments],
            cwd=_ROOT,
            env={**kept, "PYTHONHASHSEED": "0", **environment},
            pass_fds=descriptors,
        )
        try:
            other()
            process.wait(_PATIENCE)
        finally:
            process.kill()
            if process.wait():
                raise SystemExit(f"the {arguments[0]} that was to be counted failed")
        return [_total(path) for path in sorted(out.parent.glob("out.*-01"))]


def _total(path: Path) -> int:
    (total,) = re.findall(r"^totals: (\d+)$", path.read_text(), re.MULTILINE)
    return int(total)


@contextmanager
def _still() -> Iterator[str]:
    """The library that lets time stand still, and sets marks."""
    with tempfile.TemporaryDirectory() as name:
        library = f"{name}/counted.so"
        compiled = _compiled("-shared", "-fPIC", "-O1", "-o", library)
        if compiled.returncode:
            raise SystemExit(compiled.stderr)
        yield library


def _compiled(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["cc", *options, _SOURCE], capture_output=True, text=True, check=False)  # noqa: S603, S607 - the user's compiler


def _shown(counts: Counts, budgets: Mapping[str, int]) -> Iterator[str]:
    for what, count in counts.items():
        compared = f", {count / budgets[what]:.3f} of its budget" if what in budgets else ""
        yield f"{what:50} {count:8,} instructions a message{compared}"


def _main() -> None:
    parser = ArgumentParser(prog="python -m benchmarks.instructions", description="Counts the instructions of a message.")
    parser.add_argument("ends", nargs="*", metavar="END", help="client or server; both, if none is named")
    parser.add_argument("--budgets", type=Path, default=BUDGETS, metavar="FILE", help="the budgets to compare with")
    parser.add_argument("--store", action="store_true", help="store the counts there as budgets")
    wanted = parser.parse_args()
    if unknown := set(wanted.ends) - set(_ENDS):
        parser.error(f"there is no end {unknown.pop()!r}")
    if reason := obstacle():
        print(f"No instructions are counted: {reason}.")  # noqa: T201 - a command prints its result
        return
    path: Path = wanted.budgets
    build = build_of_python()
    stored: dict[str, Counts] = json.loads(path.read_text()) if path.exists() else {}
    budgets = stored.get(build, {})
    counts = counted(wanted.ends or _ENDS)
    print(build, *_shown(counts, budgets), sep="\n")  # noqa: T201 - as above
    if not accelerated:
        print("The accelerator is not built, so it is not counted.")  # noqa: T201 - as above
    if wanted.store:
        path.write_text(json.dumps({**stored, build: {**budgets, **counts, **counted_peer()}}, indent=2) + "\n")
    elif not budgets:
        print("There is no budget for this build of Python, so nothing is compared.")  # noqa: T201 - as above
    elif excess := lasting(over(counts, budgets), partial(counted, wanted.ends or _ENDS), budgets):
        raise SystemExit(f"over budget: {'; '.join(excess)}")


if __name__ == "__main__":
    _main()
