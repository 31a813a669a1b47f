"""A server process whose carry, in the end, is what its observer was told: `python -m tests.shells.serve_observed DIRECTORY NAME`."""

import json
import os
import sys

from ipcfold import IPC, Name
from ipcfold.events import Event, Stopping
from tests.shells.handlers import EMPTY, log

if __name__ == "__main__":
    told = list[str]()

    def observe(event: Event) -> None:
        told.append(f"Stopping {event.ending.name}" if isinstance(event, Stopping) else type(event).__name__)

    directory, name = sys.argv[1:3]
    IPC(directory, observe=observe).listen(Name(name))(EMPTY, log).unwrap()
    print(json.dumps({"carry": told}), os.getpid())  # noqa: T201 - the output is its purpose
