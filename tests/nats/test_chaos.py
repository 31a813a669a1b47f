"""A little chaos on a cluster of three brokers. `python -m tests.nats.chaos` makes more."""

from tests.nats.chaos import chaos


def test_nothing_is_lost_and_nothing_comes_twice_while_everything_is_killed() -> None:
    chaos(2000, 7)
