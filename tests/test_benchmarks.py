"""The benchmarks run, and name every row; no figure of theirs is a test."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from benchmarks.contestant import Standing
from benchmarks.peers import PEERS, Peer
from benchmarks.peers.framing import Frames, framed
from benchmarks.plan import QUICK
from benchmarks.processes import Seat, pairs, usual_placement
from benchmarks.results import Better, Figure, Table
from benchmarks.workloads.rounds import Field, Measure, in_turns
from hypothesis import given
from hypothesis import strategies as st

from tests.shells.support import python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="they need epoll and /proc")

PRESENT = ("raw", "raw_epoll", "ipcfold", "multiprocessing_connection", "asyncio_streams")


def failing(seat: Seat) -> float:
    """An order that cannot be done."""
    raise ZeroDivisionError(f"on purpose, to {seat.contestant.title}")


def test_every_row_is_there_with_its_rounds_or_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    workloads = ("round-trip", "acknowledged", "pipelined", "connect")
    peers = ("raw", "ipcfold", "innmind")
    options = [*(f"--workload={name}" for name in workloads), *(f"--peer={name}" for name in peers)]
    text = python("-m", "benchmarks", "--quick", *options, "--json", path).stdout
    report = json.loads(path.read_text())
    assert {table["workload"] for table in report["tables"]} == set(workloads)
    assert {"processor", "cores", "kernel", "python", "versions"} <= set(report["machine"])
    for table in report["tables"]:
        assert table["title"] in text
        assert {figure["peer"] for figure in table["figures"]} == set(peers)
        for figure in table["figures"]:
            if figure["peer"] == "innmind":
                assert figure["absent"].startswith("missing: ")
            else:
                assert figure["absent"] == ""
                assert len(figure["values"]) == report["parameters"]["rounds"]
                assert all(value > 0 for value in figure["values"])
                assert figure["times_raw"] > 0


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_has_rows_or_says_what_is_missing(peer: Peer) -> None:
    if peer.name in PRESENT:
        assert not peer.missing
    if peer.missing:
        assert not peer.needs or find_spec(peer.needs) is None
    else:
        assert len({row.title for row in peer.contestants()}) == len(peer.contestants())


def test_a_contestant_that_fails_is_a_row_that_says_why(tmp_path: Path) -> None:
    field = Field.of("round-trip", ["raw"])
    with pairs(field.contestants, tmp_path / "pairs") as running:
        nothing = Measure(lambda _: failing, lambda seconds: seconds)
        (figure,) = in_turns(field, running, usual_placement(), QUICK, nothing)
    assert not figure.values
    assert figure.absent == "failed: ZeroDivisionError: on purpose, to raw blocking socket"


times = st.floats(min_value=1e-9, max_value=1e9)
rounds = st.lists(times, min_size=1, max_size=9).map(tuple)
figure = st.builds(Figure, st.just("any"), st.text(max_size=5), st.sampled_from(Standing), rounds | st.just(()))
figures = st.lists(figure, max_size=8).map(tuple)


@given(figures, st.sampled_from(Better))
def test_ratios_are_against_the_first_raw_and_the_best_peer(rows: tuple[Figure, ...], better: Better) -> None:
    table = Table("any", "any", "anywhere", "s", better, rows)
    present = [row for row in rows if row.values]
    raw = [row for row in present if row.standing is Standing.RAW]
    peers = [row for row in present if row.standing is Standing.PEER]
    assert table.base == (raw[0] if raw else None)
    assert (table.best_peer is None) == (not peers)
    for row in rows:
        for other in (table.base, table.best_peer):
            ratio = table.ratio(row, other)
            if not row.values or other is None:
                assert ratio is None
            else:
                assert ratio == row.median / other.median
    if table.best_peer is not None:
        ratios = [row.median / table.best_peer.median for row in peers]
        assert min(ratios) == 1 if better is Better.LOWER else max(ratios) == 1
        assert table.ratio(table.best_peer, table.best_peer) == 1


@given(st.lists(times, min_size=1, max_size=30))
def test_the_median_lies_between_the_quartiles_and_these_between_the_rounds(values: list[float]) -> None:
    figure = Figure("any", "any", Standing.PEER, tuple(values))
    low, high = figure.quartiles
    slack = 1 + 1e-9  # of floats that are interpolated
    assert min(values) <= low * slack
    assert low <= figure.median * slack
    assert figure.median <= high * slack
    assert high <= max(values) * slack


@given(st.lists(st.binary(max_size=40), max_size=20), st.data())
def test_messages_come_out_of_frames_however_they_are_cut(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(framed, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    frames, found = Frames(), list[bytes]()
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        if start < end:
            found += frames.fed(stream[start:end])
    assert found == messages
