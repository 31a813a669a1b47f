"""A server process for the tests: `python -m tests.shells.serve DIRECTORY NAME [TIMEOUT] [LIMIT=VALUE ...]`.

Prints the carry as JSON, or the error, when the server ends.
"""

import json
import logging
import os
import resource
import sys
from typing import TypeVar

from returns.result import Failure, Success

from ipcfold import IPC, Handler, Limits, Name, cases
from tests.shells.handlers import EMPTY, log

C = TypeVar("C")


def main(first: C, handler: Handler[C], directory: str, name: str, timeout: str = "", *limits: str) -> None:
    chosen = {key: float(value) if "." in value else int(value) for key, _, value in (limit.partition("=") for limit in limits)}
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(chosen.pop("files", most)), most))
    logged = list[str]()
    recorder = logging.Handler()
    recorder.emit = lambda record: logged.append(record.getMessage())  # type: ignore[method-assign]  # all that a handler of logging is
    logging.getLogger("ipcfold").addHandler(recorder)
    logging.getLogger("ipcfold").setLevel(logging.INFO)
    ipc = IPC(directory, heartbeat=chosen.pop("heartbeat", 1.0), limits=Limits(**chosen))  # type: ignore[arg-type]  # int or float, as given
    match cases(ipc.listen(Name(name), float(timeout) if timeout else None)(first, handler)):
        case Success(carry):
            answer: dict[str, object] = {"carry": carry}
        case Failure(error):
            answer = {"error": type(error).__name__, "text": str(error), "carry": getattr(error, "carry", None)}
            answer["pid"] = getattr(error, "pid", None)
    if logged:
        answer["log"] = logged
    print(json.dumps(answer), os.getpid(), flush=True)  # noqa: T201 - the output is its purpose


if __name__ == "__main__":
    main(EMPTY, log, *sys.argv[1:])
