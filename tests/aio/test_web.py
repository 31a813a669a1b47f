"""A short run of `load`."""

from pathlib import Path

import pytest

from tests.aio.support import LOOPS, run

pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")

from tests.aio.load import Load, loaded


@LOOPS
def test_an_application_with_two_workers_loses_nothing_though_clients_go_away(directory: Path, loop: str) -> None:
    seen = run(lambda: loaded(directory, Load(requests=500, clients=20), seed=0), loop)
    assert seen.wrong == []
    assert seen.answered + seen.left == 500
    assert seen.answered <= seen.folded <= 500
    assert seen.left > 0
