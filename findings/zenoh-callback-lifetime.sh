#!/usr/bin/env bash
# Versions: eclipse-zenoh 1.10.2, CPython 3.11.
#
# A subscriber with a callback runs in the background, says the documentation: it stays active when nobody refers to it.
# One expects a program with such a subscriber to end when its last line is done, and the callback to go on until then.
# A program that reaches its end without session.close() never ends: the callback's thread is no daemon, and the interpreter waits for it.
# With a channel instead of a callback the same program ends.
# A function that opens a session and returns the subscriber closes the session as it returns. The subscriber is there, and its callback silent.
#
# Source: the documentation of callbacks and of Session, each on its own; what follows from both is observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'eclipse-zenoh==1.10.2'
cat > "$work/opened.py" <<'EOF'
import json

import zenoh


def opened(mode, way, path):
    config = zenoh.Config()
    settings = {"mode": mode, f"{way}/endpoints": [f"unixsock-stream/{path}"]}
    for key, value in {**settings, "scouting/multicast/enabled": False, "scouting/gossip/enabled": False}.items():
        config.insert_json5(key, json.dumps(value))
    return zenoh.open(config)
EOF
cat > "$work/callback.py" <<'EOF'
import sys

from opened import opened

session = opened("peer", "listen", sys.argv[1])
session.declare_subscriber("key", lambda sample: None)
EOF
sed 's/, lambda sample: None//' "$work/callback.py" > "$work/channel.py"
sed '$a session.close()' "$work/callback.py" > "$work/closed.py"
cat > "$work/function.py" <<'EOF'
import sys
import time

from opened import opened


def subscribed(heard):
    session = opened("client", "connect", sys.argv[1])
    return session.declare_subscriber("key", lambda sample: heard.append(sample.payload.to_string()))


server = opened("peer", "listen", sys.argv[1])
silent, kept = [], []
subscriber = subscribed(silent)
session = opened("client", "connect", sys.argv[1])
session.declare_subscriber("key", lambda sample: kept.append(sample.payload.to_string()))
while not kept:
    server.put("key", "news")
    time.sleep(0.01)
print(f"session in a variable: {kept[:1]}; session of a function that returned its subscriber: {silent}")
session.close()
server.close()
assert not silent
EOF
cd "$work"
for program in callback channel closed; do
  status=0
  timeout 5 venv/bin/python "$program.py" "$work/$program.sock" || status=$?
  echo "$program.py: $([ "$status" = 124 ] && echo 'had not ended after 5 seconds' || echo "ended with status $status")"
  [ "$status" = "$([ "$program" = callback ] && echo 124 || echo 0)" ]
done
timeout 20 venv/bin/python function.py "$work/function.sock"
