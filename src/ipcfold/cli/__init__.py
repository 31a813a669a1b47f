"""`ipcfold`: the library from a shell. What it needs is imported when it is needed, since a command is short."""

import sys


def main() -> int:
    """Do what the arguments of this process say; the exit status."""
    try:
        from ipcfold.cli.app import run  # noqa: PLC0415 - what it imports may be missing

        return run(sys.argv[1:])
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in ("cyclopts", "rich"):
            raise
        sys.stderr.write("ipcfold: its command line needs cyclopts and rich: pip install 'ipcfold[cli]'\n")
        return 3
    except KeyboardInterrupt:
        return 130
