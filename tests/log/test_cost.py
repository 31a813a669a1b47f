"""The measurement of what a log costs works."""

from pathlib import Path

from tests.shells.support import python


def test_the_cost_of_a_log_can_be_measured(tmp_path: Path) -> None:
    lines = python("-m", "benchmarks.logged", "--quick", tmp_path).stdout.splitlines()
    assert [line.split(":")[0].split(",")[0] for line in lines] == [
        "pipelined",
        "the same as rows",
        "a round trip",
        "a start from a snapshot and 10000 entries behind it",
        "to fold 10",
        "from the death of a server to the first answer of the one that stood by",
    ]
