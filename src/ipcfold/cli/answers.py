"""Answers of handlers, for people and for machines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pprint import pformat
from typing import Final

from ipcfold.cli.content import is_json, text
from ipcfold.cli.entries import said
from ipcfold.cli.output import Json
from ipcfold.cli.printable import shown
from ipcfold.cli.status import LONGEST
from ipcfold.continuation import Continuation
from ipcfold.effects import Rescued
from ipcfold.message import Message, shortened

_WIDTH: Final = 100
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")  # in what `object.__repr__` returns


def brief(answer: Continuation[object] | None) -> list[str]:
    """The answer in a few lines, with short contents. An alarm that does not ring has none."""
    if answer is None:
        return ["no alarm"]
    responses = [f"{response.media_type} {shortened(response.content)}" for response in answer.responses]
    return [*responses, *(shown(effect, 200) for effect in answer.effects), answer.outcome.value]


def whole(answer: Continuation[object] | None, raised: BaseException | None) -> list[str]:
    """The whole answer, in lines that a diff can compare."""
    if raised is not None:
        return [f"raises {shown(raised, LONGEST)}"]
    if answer is None:
        return ["no answer"]
    responses = [line for response in answer.responses for line in said_in_lines(response)]
    effects = [shown(effect) for effect in answer.effects if not isinstance(effect, Rescued)]  # its text may differ each time
    return [*responses, *effects, answer.outcome.value]


def said_in_lines(message: Message) -> Iterable[str]:
    """The message: its media type, and its content in lines."""
    content = text(message.content)
    if content is not None and is_json(message.media_type):
        content = _spread(content)
    if content is None or len(content.splitlines()) < 2:
        return [f"{message.media_type} {message.content!r}"]
    return [str(message.media_type), *(f"  {line}" for line in content.splitlines())]


def _spread(content: str) -> str:
    """JSON with a line for each member, if it is JSON."""
    try:
        return json.dumps(json.loads(content), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return content


def carried(carry: object) -> list[str]:
    """A carry in lines. Addresses of objects are left out, because they differ each time."""
    try:
        lines = pformat(carry, _WIDTH).splitlines()
    except Exception:  # noqa: BLE001 - the code of a carry may raise anything
        lines = [shown(carry)]
    return ["carry", *(f"  {_ADDRESS.sub('', line)}" for line in lines)]


def same(one: object, other: object) -> bool:
    """Whether two carries are the same, or look so. Those of two versions of a module have other classes of the same names."""
    try:
        if bool(one == other):
            return True
    except Exception:  # noqa: BLE001 - as above
        return carried(one) == carried(other)
    return carried(one) == carried(other)


def facts(answer: Continuation[object] | None, raised: BaseException | None) -> dict[str, Json] | None:
    """The whole answer, for machines."""
    if raised is not None:
        return {"raised": shown(raised)}
    if answer is None:
        return None
    return {
        "responses": [said(response) for response in answer.responses],
        "effects": [shown(effect) for effect in answer.effects],
        "outcome": answer.outcome.value,
    }


def coded(carry: object) -> Json:
    """The carry as JSON. A value that JSON does not have is its `repr`."""
    try:
        value: Json = json.loads(json.dumps(carry, default=shown, allow_nan=False))
    except Exception:  # noqa: BLE001 - the code of a carry may raise anything
        return shown(carry)
    return value
