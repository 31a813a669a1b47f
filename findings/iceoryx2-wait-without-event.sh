#!/usr/bin/env bash
# Versions: iceoryx2 0.10.0, CPython 3.11.
#
# Two processes wake each other by events, as quickly as they can, and wait with a timeout of ten seconds.
# One expects timed_wait to return events, or an empty list after ten seconds: an empty list is the only sign of a timeout.
# Now and then a wait returns an empty list at once: one in a hundred or in a hundred thousand, as the machine is busy. No event is lost.
# The wake-up and the event are two things in shared memory: a wait takes an event whose wake-up comes later, and the next wait finds nothing.
#
# Source: the documentation says "unblocks as soon as an event was received"; the empty list is observed, and its reason is guessed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'iceoryx2==0.10.0'
cat > "$work/show.py" <<'EOF'
import subprocess
import sys
import time

import iceoryx2 as iox2

TIMEOUT = 10
SECONDS = 35
BURST = 100

iox2.set_log_level(iox2.LogLevel.Error)
config = iox2.config.default()
config.global_cfg.root_path = iox2.Path.new(sys.argv[1])
node = iox2.NodeBuilder.new().config(config).create(iox2.ServiceType.Ipc)


def event(name):
    return node.service_builder(iox2.ServiceName.new(name)).event().open_or_create()


def ports(mine, theirs):
    return event(mine).listener_builder().create(), event(theirs).notifier_builder().create()


if len(sys.argv) > 2:
    listener, notifier = ports("requests", "answers")
    print("up", flush=True)
    while True:
        for activation in listener.blocking_wait():
            for _ in range(activation.count):
                notifier.notify()

listener, notifier = ports("answers", "requests")
with subprocess.Popen([sys.executable, __file__, sys.argv[1], "other"], stdout=subprocess.PIPE) as other:
    other.stdout.readline()
    waits = empty = late = 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and empty < 3:
        for _ in range(BURST):
            notifier.notify()
        answered = 0
        while answered < BURST:
            began = time.monotonic()
            events = listener.timed_wait(iox2.Duration.from_secs(TIMEOUT))
            waits += 1
            answered += sum(each.count for each in events)
            if not events:
                empty += 1
                late += time.monotonic() - began > TIMEOUT / 2
                if late:
                    break
    print(f"{waits} waits of up to {TIMEOUT} s: {empty} returned without an event, {late} of these after more than {TIMEOUT / 2:.0f} s")
    other.kill()
assert empty
assert not late
EOF
timeout 50 "$work/venv/bin/python" "$work/show.py" "$work"
