"""`ipcfold ping`: whether a server greets, and how long that takes. No message is sent, so no carry changes."""

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
    count: Annotated[MaybeCount, Parameter(help="How many times; else until Ctrl-C.")] = None,
    interval: Annotated[Seconds, Parameter(help="Seconds from one time to the next.")] = 1.0,
    timeout: Annotated[Seconds, Parameter(help="Seconds that the server has to greet, and to close.")] = 5.0,
    as_json: AsJson = False,
    ipc: Ipc,
) -> Status:
    """See whether a server greets, and how fast.

    It connects, is greeted and closes; no message is sent, so the carry stays as it is.
    A server that never greeted is an error at once; one that did is tried on.
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
                note("")  # the terminal is behind the ^C that it shows
    if pings.times:
        figures = Latency.of(pings.times)
        if as_json:
            say_json({"tried": pings.tried, **figures.facts})
        else:
            say(f"{figures.count} of {pings.tried} answered: {figures}")
    return pings.failure


class Pings:
    """What has come of them so far."""

    def __init__(self, ipc: IPC, name: Name) -> None:
        self._ipc = ipc
        self._name = name
        self.times = list[float]()
        self.tried = 0
        self.failure = Status.DONE

    def next(self, show: Callable[[int, float, int], None]) -> bool:
        """Try once, and show which that is, its seconds and the server's process; whether it makes sense to go on."""
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
    say(f"{number}: {milliseconds(seconds)} ms from process {pid}")


def _show_json(number: int, seconds: float, pid: int) -> None:
    say_json({"number": number, "pid": pid, "seconds": seconds})
