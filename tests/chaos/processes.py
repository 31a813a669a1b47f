"""All processes of a run: a server, clients, and the wire that is cut."""

import json
import signal
from collections import Counter
from pathlib import Path
from time import monotonic
from typing import Final, final

from ipcfold import IPC
from tests.chaos.children import ChaosProcess, dead_within
from tests.shells.support import NAME, PATIENCE

_MEMORY: Final = "peak memory of the server (MiB)"


@final
class Processes:
    """Starts, replaces and ends the processes. `failures` has the reason for each that failed."""

    def __init__(self, place: Path, seed: int) -> None:
        self.figures = Counter[str]()
        self.failures = list[str]()
        self.whole, self.cut = place / "whole", place / "cut"
        """The directories of the server, and of the wire to it that is cut."""
        self.result = place / "result"
        """The file in which the server leaves its last carry and its counts."""
        self._progress, self._cuts = place / "progress", place / "cuts"
        self._place = place
        self._seed = seed
        self._incarnations = Counter[int]()
        self._stopped = dict[ChaosProcess, float]()  # The stopped processes, and the time when each goes on.
        self.clients = dict[int, ChaosProcess]()
        self._others = dict[str, ChaosProcess]()

    def start(self, clients: int) -> None:
        for directory in (self.whole, self.cut):
            directory.mkdir(mode=0o700)
        self._start_server()
        self._start("cutting", self.cut, self.whole / f"{NAME}.sock", self._cuts, self._seed)
        for number in range(clients):
            self._start_client(number)

    @property
    def server(self) -> ChaosProcess:
        return self._others["server"]

    @property
    def folded(self) -> int:
        """The number of folded messages that the server last wrote."""
        return int(self._progress.read_text() or 0) if self._progress.exists() else 0

    def log(self, number: int) -> Path:
        """The log of the present incarnation of a client. The client is ready for signals once the file exists."""
        return self._place / f"{number}.{self._incarnations[number]}.log"

    def dead_within(self, seconds: float) -> list[ChaosProcess]:
        """The processes that died by themselves, as soon as there is one."""
        return dead_within(seconds, [*self.clients.values(), *self._others.values()])

    def replace(self, number: int) -> None:
        """Kill a client and start its next incarnation."""
        child = self.clients[number]
        child.signal(signal.SIGKILL)
        self._expect(child, signal.SIGKILL)
        self._stopped.pop(child, None)
        self._start_client(number)

    def renew_server(self) -> None:
        """End the server in good order, and start another that goes on from its carry."""
        self._end_server()
        self._start_server()

    def stop(self, child: ChaosProcess, seconds: float) -> None:
        """Stop the process for at least so many seconds."""
        child.signal(signal.SIGSTOP)
        self._stopped[child] = monotonic() + seconds

    def go_on(self, now: float) -> None:
        """Continue the processes whose stop is over."""
        for child in [child for child, until in self._stopped.items() if until <= now]:
            del self._stopped[child]
            child.signal(signal.SIGCONT)
            self.figures["continued"] += 1

    def end(self) -> None:
        """End all processes in good order. Half of the clients end first, so the others see the server end."""
        self.go_on(float("inf"))
        clients = list(self.clients.values())
        half = len(clients) // 2
        self._end_clients(clients[:half])
        self._end_server()
        self._end_clients(clients[half:])
        self._others["cutting"].signal(signal.SIGTERM)
        self._expect(self._others["cutting"])
        if self._cuts.exists():
            self.figures.update(json.loads(self._cuts.read_text()))

    def kill(self) -> None:
        for child in (*self.clients.values(), *self._others.values()):
            child.kill()

    def _start(self, program: str, *arguments: object) -> None:
        self._others[program] = ChaosProcess(self._place / f"{program}.errors", program, *map(str, arguments))

    def _start_server(self) -> None:
        self._start("server", self.whole, self.result, self._progress, self._seed)
        IPC(self.whole).wait(NAME, PATIENCE).map(lambda process: process.close())  # The server is ready for signals once it listens.

    def _start_client(self, number: int) -> None:
        """Start the next incarnation of a client. Half of the clients use the wire that is cut."""
        self._incarnations[number] += 1
        log = self.log(number)
        arguments = (self.cut if number % 2 else self.whole, log, number, self._incarnations[number], self._seed)
        self.clients[number] = ChaosProcess(log.with_suffix(".errors"), "client", *map(str, arguments))

    def _end_server(self) -> None:
        self.server.signal(signal.SIGTERM)
        self.server.signal(signal.SIGCONT)
        self._stopped.pop(self.server, None)
        self._expect(self.server)
        if self.result.exists():
            told = json.loads(self.result.read_text())
            self.figures["signals that the server counted"] += told["signals"]
            self.figures[_MEMORY] = max(self.figures[_MEMORY], told["peak memory"] // 2**20)

    def _end_clients(self, clients: list[ChaosProcess]) -> None:
        for child in clients:
            child.signal(signal.SIGTERM)
        for child in clients:
            self._expect(child, signal.SIGTERM)  # A client that has just started dies by the signal.

    def _expect(self, child: ChaosProcess, *signals: signal.Signals) -> None:
        """Wait for the process to end in good order or by one of these signals."""
        if failure := child.failure(*signals):
            self.failures.append(failure)
