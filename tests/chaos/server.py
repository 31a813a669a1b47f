"""The server's process: `python -m tests.chaos.server DIRECTORY RESULT PROGRESS SEED`.

It starts with the carry in the file `RESULT`, if the file exists, and writes the last carry there. It writes the number of folded
messages to `PROGRESS`. It fails unless `listen` succeeds, and unless each client has left once.
"""

import json
import os
import signal
import sys
from pathlib import Path
from random import Random
from types import FrameType

import attrs
from returns.result import Failure, Success

from ipcfold import IPC, HandlerFailed, cases
from tests.chaos.hub import Carry, Hub
from tests.chaos.settings import LIMITS
from tests.shells.support import NAME, memory


def main(directory: str, result: str, progress: str, seed: str) -> None:
    """Serve until SIGTERM, from the carry of the previous server."""
    signals = list[int]()

    def note_signal(number: int, _: FrameType | None) -> None:
        signals.append(number)

    signal.signal(signal.SIGUSR1, note_signal)
    signal.signal(signal.SIGUSR2, note_signal)
    told = os.open(progress, os.O_WRONLY | os.O_CREAT, 0o600)

    def tell(number: int) -> None:
        os.pwrite(told, str(number).encode(), 0)

    first = Carry(**json.loads(Path(result).read_text())["carry"]) if Path(result).exists() else Carry()
    hub = Hub(first, tell, Random(seed))  # noqa: S311 - repeatable, not secret
    failure: str | None = None
    match cases(IPC(directory, limits=LIMITS).listen(NAME)(first, hub.handle, hub.left, hub.woken)):
        case Success(carry):
            failure = hub.failure()
        case Failure(HandlerFailed(carry=carry) as error):
            failure = str(error)
        case Failure(error):
            sys.exit(str(error))
    Path(result).write_text(
        json.dumps({"carry": attrs.asdict(carry), "signals": len(signals), "peak memory": memory(os.getpid(), "VmHWM")})
    )
    sys.exit(failure)


if __name__ == "__main__":
    main(*sys.argv[1:])
