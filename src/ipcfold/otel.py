"""Metrics of servers for OpenTelemetry, made of their events; it needs the extra `otel`, which is OpenTelemetry's API alone.

    IPC(observe=observer()).listen(name)(carry, handler)

Which of the SDK's exporters sends them where, the program says that starts it; without an SDK they go nowhere.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from ipcfold.extras import needs

needs("opentelemetry", "otel")

from opentelemetry.metrics import MeterProvider, get_meter

from ipcfold.events import Connected, Disconnected, Event, Folded, Listening, Observer, Refused, Stopping

__all__ = ["observer"]

# The usual boundaries are for milliseconds: a handler mostly takes microseconds.
_SECONDS: Final = [step * 10.0**exponent for exponent in range(-6, 2) for step in (1, 2.5, 5)]
_BYTES: Final = [float(4**exponent) for exponent in range(2, 15)]


def observer(provider: MeterProvider | None = None) -> Observer:
    """What counts and measures the events of servers; `provider`: whose meter to use, if not the global one's.

    Each measurement has the server's name in `ipcfold.server`.

    | instrument | kind | unit | further attributes |
    |---|---|---|---|
    | `ipcfold.server.connections` | up-down counter | connections open now | |
    | `ipcfold.server.refusals` | counter | connections turned away | |
    | `ipcfold.server.departures` | counter | connections that ended | `ipcfold.departure`: a `Departure`, in lower case |
    | `ipcfold.server.message.duration` | histogram | seconds of the handler for a message | `ipcfold.outcome`: an `Outcome` |
    | `ipcfold.server.message.size` | histogram | bytes of the content of a message folded | |
    | `ipcfold.server.responses` | counter | messages responded | |
    | `ipcfold.server.endings` | counter | servers that ended | `ipcfold.ending`: an `Ending`, in lower case |
    """
    meter = get_meter("ipcfold", version("ipcfold"), provider)
    connections = meter.create_up_down_counter("ipcfold.server.connections", "{connection}", "Connections that are open")
    refusals = meter.create_counter("ipcfold.server.refusals", "{connection}", "Connections that were turned away")
    departures = meter.create_counter("ipcfold.server.departures", "{connection}", "Connections that ended, by how")
    durations = meter.create_histogram(
        "ipcfold.server.message.duration", "s", "Time that the handler took for a message", explicit_bucket_boundaries_advisory=_SECONDS
    )
    sizes = meter.create_histogram(
        "ipcfold.server.message.size", "By", "Size of the content of a message", explicit_bucket_boundaries_advisory=_BYTES
    )
    responses = meter.create_counter("ipcfold.server.responses", "{message}", "Messages responded")
    endings = meter.create_counter("ipcfold.server.endings", "{server}", "Servers that ended, by why")

    def observe(event: Event) -> None:
        server = {"ipcfold.server": str(event.name)}
        match event:
            case Listening():
                pass
            case Connected():
                connections.add(1, server)
            case Refused():
                refusals.add(1, server)
            case Folded():
                durations.record(event.duration, {**server, "ipcfold.outcome": event.outcome.value})
                sizes.record(len(event.message.content), server)
                responses.add(len(event.responses), server)
            case Disconnected():
                connections.add(-1, server)
                departures.add(1, {**server, "ipcfold.departure": event.departure.name.lower()})
            case Stopping():
                endings.add(1, {**server, "ipcfold.ending": event.ending.name.lower()})

    return observe
