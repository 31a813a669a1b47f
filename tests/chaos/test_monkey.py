"""A short run in which everything happens keeps every promise."""

from pathlib import Path

from tests.chaos.monkey import Monkey
from tests.chaos.settings import Settings


def test_a_short_run_keeps_every_promise(directory: Path) -> None:
    said = list[str]()
    monkey = Monkey(Settings(seed=1, seconds=8.0, messages=200_000, clients=10), directory, said.append)
    monkey.run()
    assert monkey.violations == []
    happened = {figure for figure, count in monkey.figures.items() if count}
    assert happened >= {
        "attempts: ConnectionClosed",
        "attempts: ConnectionLost",
        "attempts: Success",
        "attempts: TimedOut",
        "attempts: UnreadExceeded",
        "attempts: no outcome, killed",
        "continued",
        "clients killed",
        "clients stopped",
        "connections closed",
        "connections cut mid-frame",
        "connections half closed",
        "connections reset",
        "messages acknowledged with success",
        "servers ended and started again",
        "signals that the server counted",
        "signals sent to clients",
        "servers stopped",
        "hostile connections",
    }
    assert said[-1] in {"ends since the seconds are over", "ends since the messages are folded"}
