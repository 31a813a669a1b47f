#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, Linux 6.18.
#
# A program writes to a standard error on a full device, and catches the OSError.
# One expects the text to be lost and the program to end with 0: the error was handled, and stderr is written at once.
# The text stays in the buffer. If the descriptor takes text again, the next write is preceded by the text that raised.
# If it does not, the interpreter tries it once more at its end, says nothing, and exits with 120.
# With PYTHONUNBUFFERED the text is lost, and the status is 0.
#
# Source: the documentation of sys.exit says that 120 follows a failed flush at the end; the rest is observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONUNBUFFERED
cat > "$work/show.py" <<'EOF'
import contextlib
import os
import sys

with contextlib.suppress(OSError):
    sys.stderr.write("raised\n")
    print("no error")
if len(sys.argv) > 1:  # the device has room again
    os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), 2)
    sys.stderr.write("written\n")
EOF
python=${PYTHON:-python3}
full=0 && "$python" "$work/show.py" 2> /dev/full || full=$?
again=0 && "$python" "$work/show.py" "$work/log" 2> /dev/full || again=$?
unbuffered=0 && "$python" -u "$work/show.py" "$work/unbuffered" 2> /dev/full || unbuffered=$?
echo "stays full: exit status $full"
echo "has room again: exit status $again, text: $(tr '\n' ' ' < "$work/log")"
echo "has room again, unbuffered: exit status $unbuffered, text: $(tr '\n' ' ' < "$work/unbuffered")"
[ "$full $again $unbuffered" = '120 0 0' ]
[ "$(cat "$work/log")" = $'raised\nwritten' ]
[ "$(cat "$work/unbuffered")" = written ]
