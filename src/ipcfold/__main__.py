"""`python -m ipcfold`: what one can do with the library from a shell."""

import argparse
import sys
from typing import NoReturn

from ipcfold.demo import demo


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line is enough for a wrong argument; the whole usage is what `--help` is for."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main() -> int:
    """Do what the arguments say; the exit status."""
    parser = _Parser(prog="python -m ipcfold", description="Typed, functional inter-process communication.")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    commands.add_parser(
        "demo",
        help="start a server process and client processes, and show what they say",
        description="Start a server process and client processes, show each exchange, and print the value the server carried.",
    )
    parser.parse_args()
    return demo()


if __name__ == "__main__":
    sys.exit(main())
