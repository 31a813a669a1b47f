#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, SQLite 3.40.1, Linux.
#
# A statement waits for the lock of another connection, and another thread calls `interrupt`.
# One expects `OperationalError: interrupted` at once, as from a long query. One expects the same of Ctrl-C.
# While SQLite waits for a lock it looks at neither. The statement ends with its `timeout`, and says that the database is locked.
# The handler of a signal runs after that. So with a `timeout` of a minute neither Ctrl-C nor SIGTERM ends a program for a minute.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/show.py" <<'EOF'
import os
import signal
import sqlite3
import sys
import threading
import time

SECONDS = 3


def connect():
    return sqlite3.connect(sys.argv[1] + "/data", timeout=SECONDS, isolation_level=None, check_same_thread=False)


def waited(disturb):
    """How the statement ended, how long it took, and how often it was disturbed meanwhile."""
    ended, times = threading.Event(), []

    def work():
        while not ended.wait(0.05):
            disturb()
            times.append(None)

    thread = threading.Thread(target=work)
    begun = time.monotonic()
    try:
        thread.start()
        waiter.execute("BEGIN IMMEDIATE")
        how = "ok"
    except sqlite3.OperationalError as error:
        how = str(error)
    finally:
        took = time.monotonic() - begun
        ended.set()
        thread.join()
    return how, took, len(times)


owner, waiter = connect(), connect()
owner.execute("PRAGMA journal_mode = WAL")
owner.execute("BEGIN IMMEDIATE")
how, took, times = waited(waiter.interrupt)
print(f"interrupted {times} times: {how} after {took:.1f} s")
assert (how, times > 5) == ("database is locked", True) and took >= SECONDS * 0.9
caught = []
signal.signal(signal.SIGTERM, lambda *_: caught.append(time.monotonic()))
begun = time.monotonic()
sent = []


def once():
    if not sent:
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGTERM)


how, took, times = waited(once)
late = caught[0] - sent[0]
print(f"a signal that was sent {sent[0] - begun:.1f} s after the beginning: its handler ran {late:.1f} s later")
assert how == "database is locked" and late > (SECONDS - (sent[0] - begun)) * 0.9 - 0.1
EOF
"${PYTHON:-python3}" "$work/show.py" "$work"
