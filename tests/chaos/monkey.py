"""One run: the monkey disturbs the processes and ends them. Then it compares the clients' knowledge with the carry."""

import json
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from time import monotonic
from typing import Final, final

from tests.chaos import log
from tests.chaos.children import ChaosProcess
from tests.chaos.hostile import HostileClients
from tests.chaos.ledger import SUCCESS, Run, violations
from tests.chaos.processes import Processes
from tests.chaos.settings import Settings

_PAUSE: Final = 0.02  # The mean of the seconds between two disturbances.
_LONGEST_STOP: Final = 0.5  # The largest number of seconds that a process is stopped.
_STORM: Final = 10  # The largest number of signals at once.
_PROGRESS: Final = 10.0  # The seconds between two lines of progress.


@final
class Monkey:
    """Disturbs the processes of a run, and counts the disturbances."""

    def __init__(self, settings: Settings, place: Path, say: Callable[[str], None]) -> None:
        self.figures = Counter[str]()
        self.violations = list[str]()
        self._settings = settings
        self._place = place
        self._say = say
        self._random = Random(f"{settings.seed} monkey")  # noqa: S311 - repeatable, not secret
        self._processes = Processes(place, settings.seed)
        self._hostile = HostileClients(self._processes.whole, self._random)
        self._deeds: dict[Callable[[], None], int] = {  # Each disturbance with its weight.
            self._renew_server: 3,
            self._stop_server: 4,
            self._kill_client: 8,
            self._stop_client: 12,
            self._connect_hostile: 15,
            self._signal_client: 40,
            self._signal_server: 40,
        }

    def run(self) -> None:
        try:
            self._processes.start(self._settings.clients)
            began = monotonic()
            self._say(f"ends since {self._rage(began)}")
            self.figures["seconds"] = round(monotonic() - began)
            self._processes.end()
        finally:
            self._hostile.leave()
            self._processes.kill()
        self._settle()

    def _rage(self, began: float) -> str:
        """Disturb the processes until the run ends. Return why it ends."""
        said = began
        while (now := monotonic()) < began + self._settings.seconds:
            folded = self._processes.folded
            if folded >= self._settings.messages:
                return "the messages are folded"
            if self._processes.dead_within(self._random.expovariate(1 / _PAUSE)):
                return "a process died"  # It failed, and the end of the run reports it.
            self._processes.go_on(now)
            (deed,) = self._random.choices(list(self._deeds), list(self._deeds.values()))
            deed()
            if now > said + _PROGRESS:
                said = now
                self._say(f"{now - began:4.0f} s: {folded:,} messages folded, {self.figures['clients killed']} clients killed")
        return "the seconds are over"

    def _renew_server(self) -> None:
        self._processes.renew_server()
        self.figures["servers ended and started again"] += 1

    def _stop_server(self) -> None:
        self._stop(self._processes.server)
        self.figures["servers stopped"] += 1

    def _kill_client(self) -> None:
        self._processes.replace(self._any_client())
        self.figures["clients killed"] += 1

    def _stop_client(self) -> None:
        self._stop(self._processes.clients[self._any_client()])
        self.figures["clients stopped"] += 1

    def _stop(self, child: ChaosProcess) -> None:
        self._processes.stop(child, self._random.uniform(0, _LONGEST_STOP))

    def _connect_hostile(self) -> None:
        self._hostile.come()
        self.figures["hostile connections"] += 1

    def _signal_client(self) -> None:
        number = self._any_client()
        if self._processes.log(number).exists():  # The client is ready for signals.
            self._processes.clients[number].signal(signal.SIGUSR1)
            self.figures["signals sent to clients"] += 1

    def _signal_server(self) -> None:
        for _ in range(self._random.randint(1, _STORM)):
            self._processes.server.signal(self._random.choice((signal.SIGUSR1, signal.SIGUSR2)))
            self.figures["signals sent to the server"] += 1

    def _any_client(self) -> int:
        return self._random.randrange(self._settings.clients)

    def _settle(self) -> None:
        """Compare the knowledge of the clients with the messages that the server folded."""
        self.figures += self._processes.figures
        self.violations += self._processes.failures
        logs = {path.stem: log.read(path) for path in self._place.glob("*.log")}
        carry = (
            json.loads(self._processes.result.read_text())["carry"]
            if self._processes.result.exists()
            else {"oddities": [], "runs": {}, "counts": {}}
        )
        folded = {key: [Run(*run) for run in runs] for key, runs in carry["runs"].items()}
        self.figures.update(carry["counts"])
        self.violations += [f"the server got {oddity}" for oddity in carry["oddities"]]
        self.violations += violations(logs, folded)
        self.figures["violations"] = len(self.violations)
        self.figures["messages folded"] = sum(run.count for runs in folded.values() for run in runs)
        for attempt in (attempt for attempts in logs.values() for attempt in attempts):
            reason = attempt.known.reason if attempt.known else "no outcome, killed"
            self.figures[f"attempts: {reason}"] += 1
            self.figures["messages acknowledged with success"] += attempt.count if reason == SUCCESS else 0
