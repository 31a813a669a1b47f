#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, SQLite 3.40.1.
#
# A program polls `PRAGMA data_version`, to learn when another connection has changed the database.
# One expects another value after each UPDATE that another connection commits, and the same value if nobody changes anything.
# A checkpoint that resets the write-ahead log changes the value, though it changes no data. One that does not reset it does not.
# An UPDATE that sets the values that are there writes no page, and leaves the value as it is. So it is no sign of life.
# `rowcount` is 1 for it. REPLACE with the same row does write.
#
# Source: observed. The documentation says only that the value differs if changes were committed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/show.py" <<'EOF'
import sqlite3
import sys


def connect():
    return sqlite3.connect(sys.argv[1] + "/data", isolation_level=None)


def changes(statement):
    """Whether the poller sees another version after the writer's statement, and the statement's count of rows."""
    before = poller.execute("PRAGMA data_version").fetchone()
    cursor = writer.execute(statement)
    cursor.fetchall()
    seen = poller.execute("PRAGMA data_version").fetchone() != before
    print(f"{statement}: {'another version' if seen else 'the same version'}, rowcount {cursor.rowcount}")
    return seen, cursor.rowcount


writer, poller = connect(), connect()
writer.execute("PRAGMA journal_mode = WAL")
writer.execute("CREATE TABLE beat (id INTEGER PRIMARY KEY, alive INTEGER)")
assert changes("INSERT INTO beat VALUES (1, 1)") == (True, 1)
assert changes("UPDATE beat SET alive = 2 WHERE id = 1") == (True, 1)
assert changes("UPDATE beat SET alive = 2 WHERE id = 1") == (False, 1)
assert changes("REPLACE INTO beat VALUES (1, 2)") == (True, 1)
assert changes("PRAGMA wal_checkpoint(PASSIVE)")[0] is False
assert changes("PRAGMA wal_checkpoint(TRUNCATE)")[0] is True
assert changes("PRAGMA wal_checkpoint(TRUNCATE)")[0] is True
EOF
"${PYTHON:-python3}" "$work/show.py" "$work"
