"""What is measured is what happened."""

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from returns.result import Success

from ipcfold import IPC, Message, Outcome, Peer
from ipcfold.events import Connected, Departure, Disconnected, Ending, Event, Folded, Listening, Refused, Stopping
from ipcfold.otel import observer
from ipcfold.testing.strategies import messages, names
from tests.shells.handlers import EMPTY, log
from tests.shells.support import NAME, PATIENCE

Measured = dict[tuple[str, tuple[str, ...]], float]


class Meter:
    """A provider that keeps what is measured."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader])

    def measured(self) -> Measured:
        """The sum of each instrument by its attributes, and for histograms also how often it was used."""
        found = Measured()
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                assert scope.scope.name == "ipcfold"
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        key = tuple(str(value) for value in (point.attributes or {}).values())
                        assert isinstance(point, NumberDataPoint | HistogramDataPoint)
                        if isinstance(point, HistogramDataPoint):
                            found[f"{metric.name} count", key] = point.count
                            found[metric.name, key] = point.sum
                        else:
                            found[metric.name, key] = point.value
        return found


peers = st.builds(Peer, st.integers(1, 9))
events = st.one_of(
    st.builds(Listening, names()),
    st.builds(Connected, names(), peers),
    st.builds(Refused, names(), peers, st.text()),
    st.builds(Folded, names(), peers, messages(), st.lists(messages(), max_size=3).map(tuple), st.sampled_from(Outcome), st.floats(0, 9)),
    st.builds(Disconnected, names(), peers, st.sampled_from(Departure), st.text()),
    st.builds(Stopping, names(), st.sampled_from(Ending)),
)


def expected(happened: Iterable[Event]) -> Measured:
    counted = Counter[tuple[str, tuple[str, ...]]]()
    measured = Measured()
    for event in happened:
        name = str(event.name)
        match event:
            case Listening():
                pass
            case Connected():
                counted["connections", (name,)] += 1
            case Refused():
                counted["refusals", (name,)] += 1
            case Folded():
                key = (name, event.outcome.value)
                counted["message.duration count", key] += 1
                duration = "ipcfold.server.message.duration", key
                measured[duration] = measured.get(duration, 0) + event.duration
                counted["message.size count", (name,)] += 1
                counted["message.size", (name,)] += len(event.message.content)
                counted["responses", (name,)] += len(event.responses)
            case Disconnected():
                counted["connections", (name,)] -= 1
                counted["departures", (name, event.departure.name.lower())] += 1
            case Stopping():
                counted["endings", (name, event.ending.name.lower())] += 1
    return measured | {(f"ipcfold.server.{instrument}", key): count for (instrument, key), count in counted.items()}


@given(st.lists(events, max_size=20))
def test_every_event_is_measured_once(happened: list[Event]) -> None:
    meter = Meter()
    observe = observer(meter.provider)
    for event in happened:
        observe(event)
    assert meter.measured() == pytest.approx(expected(happened))


def test_the_observer_measures_a_server(directory: Path) -> None:
    meter = Meter()
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(lambda: IPC(directory, observe=observer(meter.provider)).listen(NAME)(EMPTY, log))
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
            assert isinstance(process.ask(Message.text("many 3")), Success)
            assert isinstance(process.send(Message.text("stop")), Success)
        result.result(PATIENCE).unwrap()
    measured = meter.measured()
    assert measured["ipcfold.server.responses", ("server",)] == 3
    assert measured["ipcfold.server.connections", ("server",)] == 0
    assert measured["ipcfold.server.endings", ("server", "stopped")] == 1
    assert 0 < measured["ipcfold.server.message.duration", ("server", "continue")] < PATIENCE


def test_without_an_sdk_the_measurements_go_nowhere() -> None:
    observe = observer()
    assert observe(Listening(NAME)) is None
