"""`ipcfold`: the command. It imports modules only when they are needed, because a command should start fast."""

import sys


def main() -> int:
    """Run the command that the arguments of this process name, and return the exit status."""
    try:
        from ipcfold.cli.interrupt import quiet  # noqa: PLC0415 - Ctrl-C may come while it is imported

        quiet()
        from ipcfold.cli.app import run  # noqa: PLC0415 - its dependencies may be missing

        return run(sys.argv[1:])
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in ("cyclopts", "rich"):
            raise
        sys.stderr.write("ipcfold: the command needs cyclopts and rich: pip install 'ipcfold[cli]'\n")
        return 3
    except KeyboardInterrupt:
        return 130
