"""The command: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

import attrs

from benchmarks import curves
from benchmarks.peers import PEERS
from benchmarks.plan import QUICK, Plan
from benchmarks.report import printed, printed_curve, written
from benchmarks.results import Curve, Parameters, Report, Table
from benchmarks.system import allow_many_files, machine
from benchmarks.workloads import bulk, clients, connect, idle_connections, idle_server, imported, pipelined, round_trip, tasks, told, wait
from benchmarks.workloads.rounds import Field

Workload: TypeAlias = Callable[[Field, Plan, Path], Iterator[Table]]

WORKLOADS: Final[dict[str, Workload]] = {
    "round-trip": round_trip.measured,
    "acknowledged": pipelined.measured_acknowledged,
    "pipelined": pipelined.measured,
    "bulk": bulk.measured,
    "clients": clients.measured,
    "tasks": tasks.measured,
    "told": told.measured,
    "idle-connections": idle_connections.measured,
    "connect": connect.measured,
    "wait": wait.measured,
    "idle-server": idle_server.measured,
    "import": imported.measured,
}
CURVES: Final = "curves"


def main() -> None:
    """Measure, print, and write what was asked for."""
    wanted = arguments()
    allow_many_files()
    plan = QUICK if wanted.quick else Plan()
    if wanted.rounds:
        plan = attrs.evolve(plan, rounds=wanted.rounds)
    load, _, _ = os.getloadavg()
    with TemporaryDirectory(prefix="bench") as directory:
        tables = list(measured_tables(wanted, plan, Path(directory)))
        lines = list(measured_curves(wanted, plan, Path(directory)))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    parameters = Parameters(plan.rounds, plan.seconds, plan.quick, load)
    report = Report(now, machine(), parameters, tuple(tables), tuple(lines))
    if wanted.json:
        written(report, wanted.json)
    if wanted.chart:
        from benchmarks.chart import drawn  # noqa: PLC0415 - only who wants a chart needs what draws it

        drawn(report, wanted.chart)
    if failed := report.failed:
        raise SystemExit("\n".join(["", "These failed:", *failed]))


def measured_tables(wanted: Wanted, plan: Plan, directory: Path) -> Iterator[Table]:
    """The tables of the workloads, printed as they come."""
    for name, measured in WORKLOADS.items():
        if wanted.workload and name not in wanted.workload:
            continue
        place = directory / name
        place.mkdir()
        for table in measured(Field.of(name, wanted.peer), plan, place):
            print(printed(table), flush=True)
            yield table


def measured_curves(wanted: Wanted, plan: Plan, directory: Path) -> Iterator[Curve]:
    """The curves, if they were asked for, printed as they come."""
    if not wanted.curves and CURVES not in wanted.workload:
        return
    scale = curves.QUICK if wanted.quick else curves.Scale()
    for curve in curves.measured(wanted.peer, plan, scale, directory / CURVES):
        print(printed_curve(curve), flush=True)
        yield curve


@attrs.frozen
class Wanted:
    """What was asked for on the command line."""

    workload: list[str]
    peer: list[str]
    rounds: int
    quick: bool
    curves: bool
    json: Path | None
    chart: Path | None


def arguments() -> Wanted:
    """The command line."""
    peers, workloads = [peer.name for peer in PEERS], [*WORKLOADS, CURVES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="ipcfold beside its peers, workload by workload")
    parser.add_argument("--workload", action="append", default=[], choices=workloads, help="only this one; may be repeated")
    parser.add_argument("--peer", action="append", default=[], choices=peers, help="only this one; may be repeated")
    parser.add_argument("--rounds", type=int, default=0, help=f"of each contestant; {Plan().rounds} by default")
    parser.add_argument("--quick", action="store_true", help="only see that everything works; the figures mean nothing")
    parser.add_argument("--curves", action="store_true", help="how figures scale with sizes, clients and connections, too")
    parser.add_argument("--json", type=Path, help="write all figures of all rounds there")
    parser.add_argument("--chart", type=Path, help="draw an SVG there; needs matplotlib, which the extra `bench` has")
    wanted = Wanted(**vars(parser.parse_args()))
    if sys.platform != "linux":
        parser.error("they need Linux: epoll, and what /proc tells about processes")
    if wanted.chart and find_spec("matplotlib") is None:
        parser.error("--chart needs matplotlib: pip install matplotlib")
    return wanted


if __name__ == "__main__":
    main()
