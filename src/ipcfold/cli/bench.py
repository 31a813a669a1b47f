"""`ipcfold bench`: measures from one client how fast a server folds messages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from shutil import get_terminal_size
from time import perf_counter
from typing import Annotated, Final, Literal, TypeAlias

from cyclopts import Parameter
from returns.curry import partial
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.blocking.client import Process
from ipcfold.cli.content import told
from ipcfold.cli.latency import Latency, milliseconds
from ipcfold.cli.output import Json, concluded, in_order, note, say, say_json, watched
from ipcfold.cli.parameters import AsJson, Ipc, MaybeCount, MaybeSeconds, ServerName, Size, Source
from ipcfold.cli.requests import Deadline, asked, connected, sent
from ipcfold.cli.status import Complaint, Misused, Status, Undecoded
from ipcfold.errors import AskError, MessageTooLarge, SendError, SystemFailure, TimedOut
from ipcfold.message import Message
from ipcfold.peer import Name
from ipcfold.result import cases, flat_map

Progress: TypeAlias = Callable[[float], None]
Exchange: TypeAlias = Callable[[Message, Deadline, Process], Result[object, AskError | SendError | TimedOut | Undecoded]]

_EXCHANGES: Final[dict[str, Exchange]] = {"send": sent, "ask": asked}
_SECONDS: Final = 3.0  # default duration of the measurement
_SIZE: Final = 64  # default size of a message, in bytes
_REFRESH: Final = 0.1  # seconds between updates of the progress bar, few enough not to disturb the measurement


def bench(
    name: ServerName,
    content: Annotated[str | None, Parameter(name="CONTENT", help="The content to send; by default --size bytes.")] = None,
    /,
    *,
    verb: Annotated[Literal["send", "ask"], Parameter(help="Wait for the acknowledgement of each message, or for the response.")] = "send",
    count: Annotated[MaybeCount, Parameter(help="How many messages; by default as many as fit in --seconds.")] = None,
    seconds: Annotated[MaybeSeconds, Parameter(help="For how long; by default 3, or no limit with --count.")] = None,
    size: Annotated[Size, Parameter(help="How many bytes each message has; by default 64.")] = None,
    timeout: Annotated[MaybeSeconds, Parameter(help="Seconds to wait for each message; by default no limit.")] = None,
    as_json: AsJson = False,
    ipc: Ipc,
) -> Status:
    """Send messages, one after another, and show how long they took.

    The server folds each message, which changes its carry: use a server for tests.
    """
    lasting = _SECONDS if seconds is None and count is None else inf if seconds is None else seconds
    run = Run(_EXCHANGES[verb], timeout, inf if count is None else count, lasting)

    def measured(message: Message) -> Result[None, Complaint]:
        return flow(Name.of(name), flat_map(partial(connected, ipc, None, Deadline(None))), flat_map(partial(run.measured, message)))

    try:
        status = concluded(flow(_message(content, size, ipc.limits.message), flat_map(measured)), lambda _: None)
    except KeyboardInterrupt:
        note("")  # the cursor stands behind the ^C of the terminal
        status = Status.INTERRUPTED
    if run.times:
        _show_json(run, verb) if as_json else _show(run, verb)
    return status


def _message(content: str | None, size: int | None, limit: int) -> Result[Message, Misused | SystemFailure | MessageTooLarge]:
    if content is not None and size is not None:
        return Failure(Misused("CONTENT and --size exclude each other: give only one of them"))
    if content is not None:
        return told(content, Source(), limit)
    octets = _SIZE if size is None else size
    return Failure(MessageTooLarge(octets, limit)) if octets > limit else Success(Message.octets(b"x" * octets))


class Run:
    """A measurement: how it exchanges messages, and how long each message took so far."""

    def __init__(self, exchange: Exchange, timeout: float | None, count: float, lasting: float) -> None:
        self._exchange = exchange
        self._timeout = timeout
        self._count = count
        self._lasting = lasting
        self.message = Message.octets(b"")
        self.times = list[float]()
        self.seconds = 0.0

    def measured(self, message: Message, process: Process) -> Result[None, AskError | SendError | TimedOut | Undecoded]:
        """Exchange messages until the count or the time is reached, or one fails."""
        self.message = message
        start = perf_counter()
        shown = start
        with _progress() as progress:
            while len(self.times) < self._count and self.seconds < self._lasting:
                before = perf_counter()
                exchanged = self._exchange(message, Deadline(self._timeout), process)
                now = perf_counter()
                match cases(exchanged):
                    case Failure(error):
                        return Failure(error)
                    case Success():
                        self.times.append(now - before)
                        self.seconds = now - start
                _forget_responses(process)
                if now - shown > _REFRESH:
                    shown = now
                    progress(max(len(self.times) / self._count, self.seconds / self._lasting))
        return Success(None)


def _forget_responses(process: Process) -> None:
    """Take the unread responses; otherwise they accumulate until they exceed `limits.unread`."""
    while process.wait(0).value_or(None) is not None:
        pass


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show a progress bar on the standard error, if it is a terminal."""
    if not watched(sys.stderr):
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - only for a terminal
    from rich.progress import Progress as Bar  # noqa: PLC0415 - as above

    with in_order(), Bar(console=Console(stderr=True), auto_refresh=False, transient=True) as bar:
        task = bar.add_task("measuring", total=1.0)
        bar.refresh()
        yield lambda share: bar.update(task, completed=share, refresh=True)


def _show_json(run: Run, verb: str) -> None:
    latency = Latency.of(run.times)
    bars = [{"up_to": bar.up_to, "count": bar.count} for bar in latency.histogram]
    rate = latency.count / run.seconds
    facts: dict[str, Json] = {**latency.facts, "seconds": run.seconds, "per_second": rate, "histogram": bars}
    say_json({"verb": verb, "bytes": len(run.message.content), **facts})


def _show(run: Run, verb: str) -> None:
    latency = Latency.of(run.times)
    rate = latency.count / run.seconds
    say(f"{latency.count} messages of {len(run.message.content)} bytes in {run.seconds:.2f} s ({verb}): {rate:.0f} a second")
    say(f"{latency}\n")
    most = max(bar.count for bar in latency.histogram)
    cells = get_terminal_size().columns - 24
    block = "█" if (sys.stdout.encoding or "").lower().startswith("utf") else "#"
    for bar in latency.histogram:
        blocks = block * -(-bar.count * cells // most)
        say(" ".join(filter(None, [f"{milliseconds(bar.up_to):>8} ms", blocks, str(bar.count)])))
