"""`ipcfold ping`: measures how long a server takes to greet. It sends no message, so the carry does not change."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import attrs
from cyclopts import Parameter
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.blocking.client import Process
from ipcfold.blocking.ipc import IPC
from ipcfold.cli.latency import Latency, milliseconds
from ipcfold.cli.output import complained, note, say, say_json
from ipcfold.cli.parameters import AsJson, Ipc, MaybeCount, Seconds, ServerName
from ipcfold.cli.status import Status
from ipcfold.errors import CloseError, ConnectError
from ipcfold.peer import Name, Peer
from ipcfold.result import cases, flat_map


def ping(
    name: ServerName,
    /,
    *,
    count: Annotated[MaybeCount, Parameter(help="How many times; by default until Ctrl-C.")] = None,
    interval: Annotated[Seconds, Parameter(help="Seconds between two attempts.")] = 1.0,
    timeout: Annotated[Seconds, Parameter(help="Seconds that the server has to greet, and again to close.")] = 5.0,
    as_json: AsJson = False,
    ipc: Ipc,
) -> Status:
    """Check whether a server greets, and how fast.

    Each attempt connects, waits for the greeting and closes. It sends no message, so the carry does not change.
    The command ends at a first attempt that fails; after a success it continues.
    """
    match cases(Name.of(name)):
        case Failure(error):
            return complained(error)
        case Success(checked):
            limits = attrs.evolve(ipc.limits, handshake=max(timeout, 1e-3), drain=max(timeout, 1e-3))
            pings = Pings(attrs.evolve(ipc, limits=limits), checked)
            try:
                while pings.next(_show_json if as_json else _show) and pings.tried != count:
                    time.sleep(interval)
            except KeyboardInterrupt:
                if not pings.times:
                    raise
                note("")  # the cursor stands behind the ^C of the terminal
    if pings.times:
        figures = Latency.of(pings.times)
        if as_json:
            say_json({"tried": pings.tried, **figures.facts})
        else:
            say(f"{figures.count} of {pings.tried} answered: {figures}")
    return pings.failure


class Pings:
    """The attempts so far, and their results."""

    def __init__(self, ipc: IPC, name: Name) -> None:
        self._ipc = ipc
        self._name = name
        self.times = list[float]()
        self.tried = 0
        self.failure = Status.DONE

    def next(self, show: Callable[[int, float, int], None]) -> bool:
        """Try once; show the attempt's number, its seconds and the server's process id. Return whether to continue."""
        self.tried += 1
        start = time.perf_counter()
        greeted: Result[Peer, ConnectError | CloseError] = flow(self._ipc.get(self._name), flat_map(_closed))
        seconds = time.perf_counter() - start
        match cases(greeted):
            case Success(peer):
                self.times.append(seconds)
                show(self.tried, seconds, peer.pid)
                return True
            case Failure(error):
                self.failure = complained(error)
                return bool(self.times)


def _closed(process: Process) -> Result[Peer, CloseError]:
    return process.close().map(lambda _: process.peer)


def _show(number: int, seconds: float, pid: int) -> None:
    say(f"{number}: {milliseconds(seconds)} ms" + (f" from process {pid}" if pid else ""))  # over NATS, no process is known


def _show_json(number: int, seconds: float, pid: int) -> None:
    say_json({"number": number, "pid": pid or None, "seconds": seconds})
