"""A short run of `chaos`."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.aio.chaos import disturb
from tests.aio.support import LOOPS, run


@LOOPS
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_no_cancellation_gives_an_answer_to_the_wrong_task_or_loses_one(directory: Path, loop: str, seed: int) -> None:
    cancelled, folded = run(lambda: disturb(directory, 300, seed), loop)
    assert cancelled >= 300
    assert folded
