#!/usr/bin/env bash
# Versions: iceoryx2 0.10.0, CPython 3.11.
#
# A program calls node.wait, as the library's examples do, or creates a WaitSet.
# One expects Ctrl-C to raise KeyboardInterrupt in the rest of the program, as before.
# The library replaces the process's handlers of SIGINT and SIGTERM in C, without telling Python, and never puts them back.
# From then on Ctrl-C raises nothing anywhere in the program. signal.getsignal says that Python's handler is still there.
# A node that is created with SignalHandlingMode.Disabled waits without that. To set a handler again by signal.signal helps, too.
#
# Source: the documentation of SignalHandlingMode says that signals are handled; that this lasts, and hides from Python, is observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'iceoryx2==0.10.0'
cat > "$work/show.py" <<'EOF'
import os
import signal
import sys
import time

import iceoryx2 as iox2


def interrupted():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
    except KeyboardInterrupt:
        return "KeyboardInterrupt"
    return "nothing"


def node(mode):
    iox2.set_log_level(iox2.LogLevel.Error)
    config = iox2.config.default()
    config.global_cfg.root_path = iox2.Path.new(sys.argv[1])
    return iox2.NodeBuilder.new().config(config).signal_handling_mode(mode).create(iox2.ServiceType.Ipc)


briefly = iox2.Duration.from_millis(10)
seen = {}
disabled = node(iox2.SignalHandlingMode.Disabled)
disabled.wait(briefly)
seen["after wait with SignalHandlingMode.Disabled"] = interrupted()
usual = node(iox2.SignalHandlingMode.HandleTerminationRequests)
seen["after a node was created"] = interrupted()
usual.wait(briefly)
seen["after its wait"] = interrupted()
seen["Python's handler"] = signal.getsignal(signal.SIGINT).__name__
del usual, disabled
seen["after the nodes are gone"] = interrupted()
signal.signal(signal.SIGINT, signal.default_int_handler)
seen["after signal.signal"] = interrupted()
for what, got in seen.items():
    print(f"{what:44} {got}")
assert list(seen.values()) == [
    "KeyboardInterrupt",
    "KeyboardInterrupt",
    "nothing",
    "default_int_handler",
    "nothing",
    "KeyboardInterrupt",
]
EOF
timeout 30 "$work/venv/bin/python" "$work/show.py" "$work"
