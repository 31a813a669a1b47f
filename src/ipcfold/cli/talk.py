"""`ipcfold ask` and `ipcfold send`: send one message."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections.abc import Callable
from typing import TypeVar

from returns.curry import partial
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.blocking.client import Process
from ipcfold.blocking.ipc import IPC
from ipcfold.cli.content import is_json, json_line, text, told
from ipcfold.cli.output import complained, concluded, note, say, say_json, watched
from ipcfold.cli.parameters import AsJson, Content, Ipc, Patience, ServerName, Source
from ipcfold.cli.printable import printable
from ipcfold.cli.requests import Deadline, asked, closing, connected, sent
from ipcfold.cli.status import Complaint, Status, Undecoded
from ipcfold.errors import AskError, SendError, TimedOut
from ipcfold.message import Message
from ipcfold.peer import Name
from ipcfold.result import cases, flat_map

T = TypeVar("T")

_SOURCE = Source()
_PATIENCE = Patience()


def ask(
    name: ServerName,
    content: Content = None,
    /,
    *,
    source: Source = _SOURCE,
    patience: Patience = _PATIENCE,
    as_json: AsJson = False,
    ipc: Ipc,
) -> Status:
    """Send a message and print the response.

    A file or a pipe gets exactly the bytes of the response. A terminal gets control characters escaped, and a summary of binary content.
    """
    show = _show_json if as_json else _show
    match cases(_exchanged(asked, name, content, source, patience, ipc)):
        case Success(response):
            show(response)
            return Status.DONE
        case Failure(Undecoded(response) as error):
            show(response)
            return complained(error)
        case Failure(error):
            return complained(error)


def send(
    name: ServerName,
    content: Content = None,
    /,
    *,
    source: Source = _SOURCE,
    patience: Patience = _PATIENCE,
    as_json: AsJson = False,
    ipc: Ipc,
) -> Status:
    """Send a message, and wait until the server has folded it.

    The command ignores responses. A typed server folds a message that it cannot decode, too, and only its response says
    so: use ask to see it.
    """

    def acknowledge(_: None) -> None:
        if as_json:
            say_json({"acknowledged": 1})
        elif watched():
            say("acknowledged")

    return concluded(_exchanged(sent, name, content, source, patience, ipc), acknowledge)


def _exchanged(
    exchange: Callable[[Message, Deadline, Process], Result[T, AskError | SendError | TimedOut | Undecoded]],
    name: str,
    content: str | None,
    source: Source,
    patience: Patience,
    ipc: IPC,
) -> Result[T, Complaint]:
    deadline = Deadline(patience.timeout)

    def exchanged(message: Message) -> Result[T, Complaint]:
        return flow(
            Name.of(name),
            flat_map(partial(connected, ipc, patience.wait, deadline)),
            flat_map(closing(partial(exchange, message, deadline))),
        )

    return flow(told(content, source, ipc.limits.message), flat_map(exchanged))


def _show_json(response: Message) -> None:
    media_type, content = json.dumps(str(response.media_type)), text(response.content)
    if content is None:
        say(f'{{"media_type": {media_type}, "base64": {json.dumps(b64encode(response.content).decode())}}}')
    else:
        line = json_line(content) if is_json(response.media_type) else None
        say(f'{{"media_type": {media_type}, "content": {json.dumps(content) if line is None else line}}}')


def _show(response: Message) -> None:
    content = text(response.content)
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(response.content)
    elif content is None:
        note(f"the response is binary: {response.media_type} ({len(response.content)} B); redirect it to a file, or use --json")
    elif not (watched() and is_json(response.media_type) and _show_indented(content)):
        say(content.removesuffix("\n"))


def _show_indented(content: str) -> bool:
    """Show JSON indented; return whether the content is JSON."""
    from rich.highlighter import JSONHighlighter  # noqa: PLC0415 - only for a terminal

    from ipcfold.cli.output import console  # noqa: PLC0415 - as above

    try:
        indented = json.dumps(json.loads(content, parse_float=_exactly), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return False
    console().print(JSONHighlighter()(printable(indented)), soft_wrap=True)
    return True


def _exactly(digits: str) -> float:
    """The number, if Python shows it with these digits. Otherwise the content is shown as it is."""
    number = float(digits)
    if repr(number) != digits:
        raise ValueError(f"Python writes {digits} in another way")
    return number
