"""Counts the instructions of a message, and compares them with stored budgets.

    python -m benchmarks.instructions            compare with `instructions.json`; a count of more than 1.05 of its budget fails
    python -m benchmarks.instructions --store    store what is counted now

Seconds depend on what else the machine does; instructions do not. callgrind counts them in the main threads of a server
and a client, which run a number of messages, and then four times as many. The difference is what the messages cost.
Budgets hold for one version of Python; with another one, the counts are only printed.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from multiprocessing.connection import Client, Listener
from pathlib import Path
from time import sleep
from typing import Final

from ipcfold import IPC, Continuation, Message, Name

_BUDGETS: Final = Path(__file__).with_name("instructions.json")
_SLACK: Final = 1.05
_MESSAGES: Final = 800
_BATCH: Final = 4  # messages; a longer one would take the server more than its burst of a millisecond under callgrind
_SHOWN_ONLY: Final = "pipelined, accelerated"  # these depend on how often the flusher falls asleep, and so on time
_NAME: Final = Name.of("counted").unwrap()
_PEER: Final = "multiprocessing.connection"
_BUILDS: Final = {"accelerated": {}, "pure Python": {"IPCFOLD_PURE": "1"}, _PEER: {}}
_WORKLOADS: Final = ("round trip", "pipelined")

Counts = dict[str, int]


def _serve_peer(directory: Path) -> None:
    with Listener(str(directory / "peer"), "AF_UNIX") as listener, listener.accept() as connection, suppress(EOFError):
        while True:
            connection.send_bytes(connection.recv_bytes())


def _converse_with_peer(directory: Path, messages: int) -> None:
    while not (directory / "peer").exists():
        sleep(0.01)
    with Client(str(directory / "peer"), "AF_UNIX") as connection:
        for _ in range(messages):
            connection.send_bytes(b"x" * 64)
            connection.recv_bytes()


def _serve(directory: Path) -> None:
    def echo(message: Message, continuation: Continuation[None], carry: None) -> Continuation[None]:
        answer = continuation.respond(carry, message)
        return answer.stop(carry) if message.content == b"stop" else answer

    IPC(directory, heartbeat=3600).listen(_NAME)(None, echo).unwrap()


def _converse(directory: Path, workload: str, messages: int) -> None:
    process = IPC(directory, heartbeat=3600).wait(_NAME).unwrap()
    message = Message.text("x" * 64)
    match workload:
        case "round trip":
            for _ in range(messages):
                process.send(message)
                process.wait()
        case _:
            batch = [message] * _BATCH
            for _ in range(messages // _BATCH):
                process.send(*batch)
                for _ in batch:
                    process.wait()
    process.send(Message.text("stop"))


def _counted(build: str, workload: str, messages: int) -> tuple[int, int]:
    """The instructions of the main threads of a client and a server for so many messages, with what they do before and after."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        environment = {**os.environ, "PYTHONHASHSEED": "0", **_BUILDS[build]}

        def started(role: str, *arguments: str) -> subprocess.Popen[bytes]:
            tool = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={directory / role}", "--quiet"]
            command = [*tool, sys.executable, "-m", "benchmarks.instructions", role, name, build, *arguments]
            return subprocess.Popen(command, env=environment)  # noqa: S603 - the command is this module, with arguments that it chose

        with started("server") as server, started("client", workload, str(messages)) as client:
            if client.wait() or server.wait():
                raise SystemExit("a process that was to be counted failed")
        return _total(directory / "client-01"), _total(directory / "server-01")


def _total(path: Path) -> int:
    (total,) = re.findall(r"^totals: (\d+)$", path.read_text(), re.MULTILINE)
    return int(total)


def _counts() -> Counts:
    counts = Counts()
    for build in _BUILDS:
        for workload in _WORKLOADS[: 1 if build == _PEER else None]:
            few, many = (_counted(build, workload, messages) for messages in (_MESSAGES, 4 * _MESSAGES))
            for end, less, more in zip(("client", "server"), few, many, strict=True):
                counts[f"{workload}, {build}, {end}"] = (more - less) // (3 * _MESSAGES)
    return counts


def _main(*arguments: str) -> None:
    match arguments:
        case ["server", directory, build]:
            return _serve_peer(Path(directory)) if build == _PEER else _serve(Path(directory))
        case ["client", directory, build, _, messages] if build == _PEER:
            return _converse_with_peer(Path(directory), int(messages))
        case ["client", directory, _, workload, messages]:
            return _converse(Path(directory), workload, int(messages))
        case [] | ["--store"] if shutil.which("valgrind"):
            pass
        case [] | ["--store"]:
            return print("nothing is counted: there is no valgrind")  # noqa: T201 - a command prints its result
        case _:
            raise SystemExit(__doc__)
    version = f"CPython {platform.python_version()} on {platform.machine()}"
    stored: dict[str, Counts] = json.loads(_BUDGETS.read_text()) if _BUDGETS.exists() else {}
    counts, budgets = _counts(), stored.get(version, {})
    for what, count in counts.items():
        budget = budgets.get(what)
        compared = f", {count / budget:.2f} of its budget" if budget else ""
        print(f"{what:50} {count:8,} instructions a message{compared}")  # noqa: T201 - a command prints its result
    if arguments:
        _BUDGETS.write_text(json.dumps({**stored, version: counts}, indent=2) + "\n")
    elif over := [what for what, count in counts.items() if count > _SLACK * budgets.get(what, count) and not what.startswith(_SHOWN_ONLY)]:
        raise SystemExit(f"over budget: {'; '.join(over)}")
    return None


if __name__ == "__main__":
    _main(*sys.argv[1:])
