"""The command: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
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
from benchmarks.workloads import bulk, clients, connect, idle_connections, idle_server, imported, pipelined, round_trip, wait
from benchmarks.workloads.rounds import Field

Workload: TypeAlias = Callable[[Field, Plan, Path], Iterator[Table]]

WORKLOADS: Final[dict[str, Workload]] = {
    "round-trip": round_trip.measured,
    "pipelined": pipelined.measured,
    "bulk": bulk.measured,
    "clients": clients.measured,
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
    tables: list[Table] = []
    lines: list[Curve] = []
    with TemporaryDirectory(prefix="bench") as directory:
        for name in WORKLOADS:
            if wanted.workload and name not in wanted.workload:
                continue
            place = Path(directory, name)
            place.mkdir()
            for table in WORKLOADS[name](Field.of(name, wanted.peer), plan, place):
                print(printed(table), flush=True)
                tables.append(table)
        if wanted.curves or CURVES in wanted.workload:
            scale = curves.QUICK if wanted.quick else curves.Scale()
            for curve in curves.measured(wanted.peer, plan, scale, Path(directory, "curves")):
                print(printed_curve(curve), flush=True)
                lines.append(curve)
    report = Report(
        datetime.now(UTC).isoformat(timespec="seconds"),
        machine(),
        Parameters(plan.rounds, plan.seconds, plan.quick),
        tuple(tables),
        tuple(lines),
    )
    if wanted.json:
        written(report, wanted.json)
    if wanted.chart:
        from benchmarks.chart import drawn  # noqa: PLC0415 - only who wants a chart needs what draws it

        drawn(report, wanted.chart)


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
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="ipcfold beside its peers, workload by workload")
    parser.add_argument("--workload", action="append", default=[], choices=[*WORKLOADS, CURVES], help="only this one (may be repeated)")
    parser.add_argument(
        "--peer", action="append", default=[], choices=[peer.name for peer in PEERS], help="only this one (may be repeated)"
    )
    parser.add_argument("--rounds", type=int, default=0, help=f"rounds of each contestant ({Plan().rounds} by default)")
    parser.add_argument("--quick", action="store_true", help="see that everything works; the figures mean nothing")
    parser.add_argument(
        "--curves", action="store_true", help="beside the workloads, measure how figures scale with sizes, clients and connections"
    )
    parser.add_argument("--json", type=Path, help="write all figures of all rounds there")
    parser.add_argument("--chart", type=Path, help="draw an SVG there")
    return Wanted(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
