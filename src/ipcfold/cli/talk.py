"""`ipcfold ask` and `ipcfold send`: send one message."""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Callable
from typing import TypeVar

from returns.curry import partial
from returns.pipeline import flow
from returns.result import Result

from ipcfold.blocking.client import Process
from ipcfold.blocking.ipc import IPC
from ipcfold.cli.content import text, told
from ipcfold.cli.output import concluded, note, say, say_json, watched
from ipcfold.cli.parameters import AsJson, Content, Ipc, Patience, ServerName, Source
from ipcfold.cli.printable import printable
from ipcfold.cli.requests import Deadline, asked, closing, connected, sent
from ipcfold.cli.status import Complaint, Status
from ipcfold.errors import AskError, SendError, TimedOut
from ipcfold.message import Message
from ipcfold.peer import Name
from ipcfold.result import flat_map

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

    A file or a pipe gets exactly the bytes of the response; a terminal gets a summary of binary content.
    """
    return concluded(_exchanged(asked, name, content, source, patience, ipc), _show_json if as_json else _show)


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

    The command ignores responses.
    """

    def acknowledge(_: None) -> None:
        if as_json:
            say_json({"acknowledged": 1})
        elif watched():
            say("acknowledged")

    return concluded(_exchanged(sent, name, content, source, patience, ipc), acknowledge)


def _exchanged(
    exchange: Callable[[Message, Deadline, Process], Result[T, AskError | SendError | TimedOut]],
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
    content = text(response.content)
    shown = {"base64": b64encode(response.content).decode()} if content is None else {"content": content}
    say_json({"media_type": str(response.media_type), **shown})


def _show(response: Message) -> None:
    content = text(response.content)
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(response.content)
    elif content is None:
        note(f"the response is binary: {response.media_type} ({len(response.content)} B); redirect it to a file, or use --json")
    elif not (response.media_type.subtype.endswith("json") and _show_indented(content)):
        say(printable(content.removesuffix("\n")))


def _show_indented(content: str) -> bool:
    """Show JSON indented; return whether the content is JSON."""
    import json  # noqa: PLC0415 - only for a terminal, as is rich

    from rich.highlighter import JSONHighlighter  # noqa: PLC0415 - as above

    from ipcfold.cli.output import console  # noqa: PLC0415 - as above

    try:
        indented = json.dumps(json.loads(content), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return False
    console().print(JSONHighlighter()(printable(indented)), soft_wrap=True)
    return True
