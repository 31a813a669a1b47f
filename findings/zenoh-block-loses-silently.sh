#!/usr/bin/env bash
# Versions: eclipse-zenoh 1.10.2, CPython 3.11.
#
# A publisher with CongestionControl.BLOCK publishes to a reliable subscriber whose callback takes long.
# One expects put to wait until there is room, as the documentation of BLOCK says, or to raise.
# One put waits for five seconds. Then the library closes the connection, and this put and all later ones return as usual.
# Their messages are lost. matching_status.matching stays true, and the number of links is 0.
# The setting that does it is transport/link/tx/queue/congestion_control/block/wait_before_close, in microseconds.
#
# Source: DEFAULT_CONFIG.json5 documents that setting; that nothing at the publisher tells of it is observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'eclipse-zenoh==1.10.2'
cat > "$work/show.py" <<'EOF'
import json
import os
import subprocess
import sys
import time

import zenoh


def opened(mode, way):
    config = zenoh.Config()
    settings = {"mode": mode, f"{way}/endpoints": [f"unixsock-stream/{sys.argv[1]}/socket"]}
    for key, value in {**settings, "scouting/multicast/enabled": False, "scouting/gossip/enabled": False}.items():
        config.insert_json5(key, json.dumps(value))
    return zenoh.open(config)


if len(sys.argv) > 2:
    session = opened("peer", "listen")
    session.declare_subscriber("numbers", lambda sample: time.sleep(60))
    sys.stdin.read()
    os._exit(0)

with subprocess.Popen([sys.executable, __file__, sys.argv[1], "subscriber"], stdin=subprocess.PIPE) as subscriber:
    while not os.path.exists(f"{sys.argv[1]}/socket"):
        time.sleep(0.01)
    session = opened("client", "connect")
    publisher = session.declare_publisher(
        "numbers", congestion_control=zenoh.CongestionControl.BLOCK, reliability=zenoh.Reliability.RELIABLE
    )
    while not publisher.matching_status.matching:
        time.sleep(0.01)
    before = len(session.info.links())
    waits = []
    for number in range(10_000):
        began = time.monotonic()
        publisher.put(b"%2048d" % number)
        if time.monotonic() - began > 1:
            waits.append(number)
    print(f"10,000 puts returned; these waited: {waits}")
    print(f"links before: {before}, after: {len(session.info.links())}; matching: {publisher.matching_status.matching}")
    assert len(waits) == 1
    assert before == 1
    assert not session.info.links()
    assert publisher.matching_status.matching
    subscriber.stdin.close()
EOF
timeout 40 "$work/venv/bin/python" "$work/show.py" "$work"
