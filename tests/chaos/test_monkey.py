"""A short run with every kind of disturbance keeps every promise."""

from itertools import count
from pathlib import Path

from tests.chaos.monkey import Monkey
from tests.chaos.settings import Settings

WANTED = {
    "attempts: ConnectionClosed", "attempts: ConnectionLost", "attempts: Success", "attempts: TimedOut", "attempts: UnreadExceeded",
    "attempts: no outcome, killed", "messages acknowledged with success", "clients killed", "clients stopped", "servers stopped",
    "servers ended and started again", "continued", "signals that the server counted", "signals sent to clients",
    "messages published", "messages told", "answers that came late", "alarms", "departures folded",
    "connections closed", "connections cut mid-frame", "connections half closed", "connections reset", "hostile connections",
}  # fmt: skip


def test_a_short_run_keeps_every_promise(directory: Path) -> None:
    """On a slow machine less happens in a second, so the test makes more and longer runs there."""
    happened, said = set[str](), list[str]()
    for run in count(1):
        place = directory / str(run)
        place.mkdir()
        monkey = Monkey(Settings(seed=run, seconds=8.0 * run, messages=200_000, clients=10), place, said.append)
        monkey.run()
        assert monkey.violations == []
        assert said[-1] in {"ends since the seconds are over", "ends since the messages are folded"}
        happened |= {figure for figure, number in monkey.figures.items() if number}
        if happened >= WANTED:
            break
