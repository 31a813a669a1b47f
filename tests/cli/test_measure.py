"""`ping` and `bench`: what they measure, and that they show it."""

import json
import signal
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcfold.cli.latency import Latency
from ipcfold.cli.status import Status
from tests.cli.support import Terminal, echoing, fails, ipcfold, printed
from tests.shells.support import NAME, PATIENCE, ServerProcess, running

TIMES = st.lists(st.floats(1e-7, 1e3), min_size=1, max_size=200)


@given(TIMES)
def test_the_figures_are_those_of_the_times(times: list[float]) -> None:
    latency = Latency.of(times)
    assert (latency.count, latency.min, latency.max) == (len(times), min(times), max(times))
    assert latency.median == statistics.median_low(times)
    assert latency.mean == pytest.approx(statistics.fmean(times))
    for share, figure in ((0.9, latency.p90), (0.99, latency.p99), (0.999, latency.p999)):
        assert figure in times
        assert sum(time <= figure for time in times) >= share * len(times) > sum(time < figure for time in times) - 1e-9


@given(TIMES)
def test_every_time_is_in_one_bar(times: list[float]) -> None:
    histogram = Latency.of(times).histogram
    limits = [bar.up_to for bar in histogram]
    assert limits == sorted(limits)
    assert limits[-1] == max(times)
    below = 0
    for bar in histogram:
        assert bar.count == sum(time <= bar.up_to for time in times) - below
        below += bar.count
    assert below == len(times)


def test_ping_changes_no_carry(directory: Path, server: ServerProcess) -> None:
    *lines, figures = map(json.loads, printed(directory, "ping", str(NAME), "--count", "3", "--interval", "0", "--json").splitlines())
    assert [(line["number"], line["pid"]) for line in lines] == [(number, server.pid) for number in (1, 2, 3)]
    assert (figures["tried"], figures["count"]) == (3, 3)
    assert figures["min"] == min(line["seconds"] for line in lines)
    assert server.stop() == []


def test_ping_goes_on_while_the_server_is_away_and_ends_with_statistics(directory: Path) -> None:
    with Terminal(directory, "ping", str(NAME), "--interval", "0.02", "--timeout", str(PATIENCE)) as shown:
        assert shown.end()[0] == Status.NO_SERVER
    first = running(directory)
    with first, Terminal(directory, "ping", str(NAME), "--interval", "0.02", "--timeout", str(PATIENCE)) as shown:
        shown.until("2: ")
        first.__exit__(None, None, None)
        shown.until("ipcfold: nobody listens")
        with running(directory) as server:
            shown.until(f"from process {server.pid}")
            shown.interrupt()
            status, text = shown.end()
    assert status == Status.NO_SERVER  # not every one was answered
    assert " answered: min " in text.splitlines()[-1]
    assert len(text.splitlines()[-1]) <= 80


@pytest.mark.parametrize("verb", ["send", "ask"])
def test_bench_sends_as_many_as_it_says(directory: Path, verb: str) -> None:
    with echoing(directory) as server:
        facts = json.loads(printed(directory, "bench", "echo", "--verb", verb, "--count", "50", "--size", "1000", "--json"))
        assert (facts["verb"], facts["bytes"], facts["count"]) == (verb, 1000, 50)
        assert facts["min"] <= facts["median"] <= facts["p90"] <= facts["p99"] <= facts["p999"] <= facts["max"] <= facts["seconds"]
        assert facts["per_second"] == pytest.approx(50 / facts["seconds"])
        assert sum(bar["count"] for bar in facts["histogram"]) == 50
        server.send_signal(signal.SIGTERM)
        assert server.communicate(timeout=PATIENCE)[0] == b"50\n"


def test_bench_lasts_as_long_as_it_says_and_leaves_responses_alone(echo: Path) -> None:
    facts = json.loads(printed(echo, "bench", "echo", "--seconds", "0.2", "--size", str(2**22), "--json"))  # some 200 MiB come back
    assert facts["bytes"] == 2**22
    assert facts["seconds"] >= 0.2


def test_bench_shows_a_bar_while_it_runs_and_a_histogram_then(echo: Path) -> None:
    with Terminal(echo, "bench", "echo", "hi", "--count", "200") as shown:
        shown.until("measuring")
        status, text = shown.end()
    assert status == 0
    lines = text.splitlines()
    figures = next(line for line in lines if line.startswith("min "))
    assert len(figures) <= 80
    assert sum("█" in line for line in lines) > 1
    assert max(len(line) for line in lines[lines.index(figures) :]) <= 80
    plain = ipcfold(echo, "bench", "echo", "--count", "10", PYTHONIOENCODING="ascii")
    assert b"#" in plain.stdout


def test_bench_that_is_interrupted_shows_what_there_is(echo: Path) -> None:
    with Terminal(echo, "bench", "echo", "--seconds", "100") as shown:
        shown.until("1%")
        shown.interrupt()
        status, text = shown.end()
    assert (status, " messages of 64 bytes in " in text) == (Status.INTERRUPTED, True)


def test_bench_of_a_server_that_ends_shows_what_there_is(directory: Path) -> None:
    with echoing(directory, "--carry", "0", handler="tests.cli.handlers:five"):
        done = ipcfold(directory, "bench", "echo", "--seconds", "100", "--json")
    assert (done.returncode, len(done.stderr.splitlines())) == (Status.UNACKNOWLEDGED, 1)
    assert json.loads(done.stdout)["count"] == 5


def test_bench_asks_no_longer_than_it_may(directory: Path, server: ServerProcess) -> None:
    fails(directory, "bench", str(NAME), "quiet", "--verb", "ask", "--timeout", "0.1", status=Status.TIMED_OUT, says="within 0.1 s")
