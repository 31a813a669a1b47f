"""Where the command `ipcfold` begins: from here on, Ctrl-C ends the process without a traceback.

This module is not in the package, because importing a module of a package imports the package first, which takes most of
the time until the command is ready.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where SIGINT is ignored, as in the background
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def main() -> int:
    """Run the command, and return the exit status."""
    from ipcfold.cli import main as run  # noqa: PLC0415 - see above

    return run()
