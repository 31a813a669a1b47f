#!/usr/bin/env bash
# Versions: eclipse-zenoh 1.10.2, CPython 3.11.
#
# A session queries a key that nobody serves, and one whose callback raises.
# One expects an error in either case, and two different ones: a reply has a field for errors, and a query a timeout.
# Each query ends at once without a reply and without an error. Nothing tells a missing server from a broken one, or from one that answers nothing.
# The traceback is on the server's stderr only.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'eclipse-zenoh==1.10.2'
cat > "$work/show.py" <<'EOF'
import json
import sys
import time

import zenoh


def opened(mode, way):
    config = zenoh.Config()
    settings = {"mode": mode, f"{way}/endpoints": [f"unixsock-stream/{sys.argv[1]}/socket"]}
    for key, value in {**settings, "scouting/multicast/enabled": False, "scouting/gossip/enabled": False}.items():
        config.insert_json5(key, json.dumps(value))
    return zenoh.open(config)


def fail(query):
    raise ValueError("on purpose")


def replies(key):
    began = time.monotonic()
    found = [reply.ok or reply.err for reply in client.get(key, timeout=10)]
    return found, time.monotonic() - began < 5


server = opened("peer", "listen")
server.declare_queryable("broken", fail)
server.declare_queryable("silent", lambda query: query.drop())
server.declare_queryable("working", lambda query: query.reply("working", b"reply"))
client = opened("client", "connect")
seen = {key: replies(key) for key in ("missing", "broken", "silent", "working")}
for key, (found, soon) in seen.items():
    print(f"{key:8} {len(found)} replies or errors, {'at once' if soon else 'after the timeout'}")
client.close()
server.close()
assert [len(found) for found, _ in seen.values()] == [0, 0, 0, 1]
assert all(soon for _, soon in seen.values())
EOF
timeout 30 "$work/venv/bin/python" "$work/show.py" "$work" 2>/dev/null
