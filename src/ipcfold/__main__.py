"""`python -m ipcfold` is `ipcfold`."""

import sys

from ipcfold.cli import main

if __name__ == "__main__":
    sys.exit(main())
