"""`ipcfold`: the command. It imports modules only when they are needed, because a command should start fast."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a packager such as PyInstaller finds modules by their imports, and `app` has these as texts
    from ipcfold.cli import bench, brokers, completion, demo, listen, ping, show, talk, where  # noqa: F401 - see above


def main() -> int:
    """Run the command that the arguments of this process name, and return the exit status."""
    try:
        from ipcfold.cli.interrupt import quiet  # noqa: PLC0415 - Ctrl-C may come while it is imported

        quiet()
        if getattr(sys, "frozen", False):  # in a program of PyInstaller, this process may be one that `demo` started
            from multiprocessing import freeze_support  # noqa: PLC0415 - it takes long, and is needed only there

            freeze_support()
        from ipcfold.cli.app import run  # noqa: PLC0415 - its dependencies may be missing

        return run(sys.argv[1:])
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        if missing not in ("cyclopts", "rich", "nats"):
            raise
        what, extra = ("--nats needs nats-py", "nats") if missing == "nats" else ("the command needs cyclopts and rich", "cli")
        sys.stderr.write(f"ipcfold: {what}: pip install 'ipcfold[{extra}]'\n")
        return 3
    except KeyboardInterrupt:
        return 130
