"""Metrics of servers for OpenTelemetry, made from their events. The extra `otel` installs OpenTelemetry's API.

    IPC(observe=observer()).listen(name)(carry, handler)

The program configures the SDK and its exporters. Without an SDK the measurements are discarded.
"""

from __future__ import annotations

from typing import Final

from ipcfold.extras import needs

needs("opentelemetry", "otel")

from opentelemetry.metrics import MeterProvider, get_meter

from ipcfold.events import Connected, Disconnected, Event, Folded, Listening, Observer, Refused, Stopping
from ipcfold.version import VERSION

__all__ = ["observer"]

# The default boundaries suit milliseconds, but most handlers take microseconds.
_SECONDS: Final = [step * 10.0**exponent for exponent in range(-6, 2) for step in (1, 2.5, 5)]
_BYTES: Final = [float(4**exponent) for exponent in range(2, 15)]


def observer(provider: MeterProvider | None = None) -> Observer:
    """An observer that records the events of servers with the meter of `provider`, by default the global one.

    Each measurement has the server's name in `ipcfold.server`.

    | instrument | kind | unit | further attributes |
    |---|---|---|---|
    | `ipcfold.server.connections` | up-down counter | connections open now | |
    | `ipcfold.server.refusals` | counter | connections refused | |
    | `ipcfold.server.departures` | counter | connections that ended | `ipcfold.departure`: a `Departure`, in lower case |
    | `ipcfold.server.message.duration` | histogram | seconds that the handler took for a message | `ipcfold.outcome`: an `Outcome` |
    | `ipcfold.server.message.size` | histogram | bytes of the content of a folded message | |
    | `ipcfold.server.responses` | counter | messages sent as responses | |
    | `ipcfold.server.endings` | counter | servers that ended | `ipcfold.ending`: an `Ending`, in lower case |
    """
    meter = get_meter("ipcfold", VERSION, provider)
    connections = meter.create_up_down_counter("ipcfold.server.connections", "{connection}", "Connections that are open")
    refusals = meter.create_counter("ipcfold.server.refusals", "{connection}", "Connections that the server refused")
    departures = meter.create_counter("ipcfold.server.departures", "{connection}", "Connections that ended, by departure")
    durations = meter.create_histogram(
        "ipcfold.server.message.duration", "s", "Time that the handler took for a message", explicit_bucket_boundaries_advisory=_SECONDS
    )
    sizes = meter.create_histogram(
        "ipcfold.server.message.size", "By", "Size of the content of a message", explicit_bucket_boundaries_advisory=_BYTES
    )
    responses = meter.create_counter("ipcfold.server.responses", "{message}", "Messages sent as responses")
    endings = meter.create_counter("ipcfold.server.endings", "{server}", "Servers that ended, by ending")

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
