"""The command: `python -m tests.chaos [--seconds 600] [--messages 10000000] [--clients 24] [--seed N]`."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.monkey import Monkey
from tests.chaos.settings import Settings

parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Disturb a server and its clients, and check every promise.")
parser.add_argument("--seconds", type=float, default=600.0)
parser.add_argument("--messages", type=int, default=10_000_000)
parser.add_argument("--clients", type=int, default=24)
parser.add_argument("--seed", type=int, default=random.randrange(10**6))  # noqa: S311 - not secret
settings = Settings(**vars(parser.parse_args()))

print(settings, flush=True)  # noqa: T201 - the output is its purpose
with tempfile.TemporaryDirectory(prefix="ipc") as place:
    monkey = Monkey(settings, Path(place), lambda line: print(line, flush=True))  # noqa: T201 - as above
    monkey.run()
for figure, value in sorted(monkey.figures.items()):
    print(f"{value:>12,}  {figure}")  # noqa: T201 - as above
for violation in monkey.violations:
    print(f"VIOLATION: {violation}")  # noqa: T201 - as above
sys.exit(f"repeat with --seed {settings.seed}" if monkey.violations else 0)
