"""A server over NATS in a process of its own: `python -m tests.nats.serve URLS NAME [KEY=VALUE ...]`.

It prints the carry as JSON, or the error, when it ends.
"""

import json
import os
import sys

from returns.result import Failure, Success

from ipcfold import Continuation, Limits, Name, Peer, cases
from ipcfold.nats import NATS
from tests.nats.support import log
from tests.shells.handlers import EMPTY, Log


def left(peer: Peer, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
    """Note who left, if somebody wants to know."""
    return continuation.continue_((*carry, f"{peer.connection} left"))


def main(urls: str, name: str, *options: str) -> None:
    chosen = {key: float(value) for key, _, value in (option.partition("=") for option in options)}
    noted = left if chosen.pop("left", 0) else None
    timeout = chosen.pop("timeout", None)
    replicas = int(chosen.pop("replicas", 1))
    limits = Limits(**{key: chosen.pop(key) for key in list(chosen) if hasattr(Limits(), key)})  # type: ignore[arg-type]  # as given
    match cases(NATS(urls, replicas=replicas, limits=limits, **chosen).listen(Name(name), timeout)(EMPTY, log, noted)):  # type: ignore[arg-type]  # as given
        case Success(carry):
            answer: dict[str, object] = {"carry": carry}
        case Failure(error):
            answer = {"error": type(error).__name__, "text": str(error), "carry": getattr(error, "carry", None)}
    print(json.dumps(answer), os.getpid(), flush=True)  # noqa: T201 - the output is its purpose


if __name__ == "__main__":
    main(*sys.argv[1:])
