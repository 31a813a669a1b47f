"""A server process for the tests: `python -m tests.shells.serve DIRECTORY NAME [timeout=SECONDS] [LIMIT=VALUE ...]`.

Prints the carry as JSON, or the error, when the server ends, with the log if there is any. Each record of the log
is written to the standard error at once, too, so that one can wait for it.
"""

import json
import logging
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from returns.result import Failure, Result, Success

from ipcfold import IPC, Handler, Limits, ListenError, Name, cases
from ipcfold.local.log import logger
from tests.shells.handlers import EMPTY, log

C = TypeVar("C")


class Records(logging.Handler):
    """Keeps what is logged, as level and text, and tells each at once."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        super().__init__()
        self.texts = list[str]()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.levelname} {record.getMessage()}"
        self.texts.append(text)
        self._tell(text)


Serve = Callable[..., Result[C, ListenError[C]]]
"""Serves: it gets the directory, the name, the timeout, the first carry, and the options of an `IPC` by name."""


def main(first: C, handler: Handler[C], directory: str, name: str, *options: str) -> None:
    def serve(directory: str, name: Name, timeout: float | None, first: C, **options: Any) -> Result[C, ListenError[C]]:
        return IPC(directory, **options).listen(name, timeout)(first, handler)

    served(serve, first, directory, name, *options)


def served(serve: Serve[C], first: C, directory: str, name: str, *options: str) -> None:
    chosen = {key: float(value) if "." in value else int(value) for key, _, value in (option.partition("=") for option in options)}
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(chosen.pop("files", most)), most))
    if memory := int(chosen.pop("memory", 0)):  # so many bytes more than it has at its start
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory,) * 2)
    records = Records(lambda text: sys.stderr.write(f"{text}\n"))
    logger().addHandler(records)
    logger().setLevel(logging.INFO)
    timeout = chosen.pop("timeout", None)
    heartbeat = chosen.pop("heartbeat", 1.0)
    limits = Limits(**chosen)  # type: ignore[arg-type]  # int or float, as given
    match cases(serve(directory, Name(name), timeout, first, heartbeat=heartbeat, limits=limits)):
        case Success(carry):
            answer: dict[str, object] = {"carry": carry}
        case Failure(error):
            answer = {"error": type(error).__name__, "text": str(error), "carry": getattr(error, "carry", None)}
            answer["pid"] = getattr(error, "pid", None)
    if records.texts:
        answer["log"] = records.texts
    print(json.dumps(answer), os.getpid(), flush=True)  # noqa: T201 - the output is its purpose


if __name__ == "__main__":
    main(EMPTY, log, *sys.argv[1:])
