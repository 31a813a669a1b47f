"""A server process with the handler of the recordings; see `tests.shells.serve`."""

import sys

from tests.shells.serve import main
from tests.wire.recordings import handle

if __name__ == "__main__":
    main(0, handle, *sys.argv[1:])
