#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, SQLite 3.40.1.
#
# A connection without transactions of its own (`isolation_level=None`) executes an INSERT with RETURNING.
# One expects `execute` to have committed when it returns, as it has without RETURNING.
# The statement commits when its last row is fetched, or its cursor is collected. Until then nobody else can write.
# `in_transaction` is false, and another connection does not see the rows, though their numbers are there already.
# So an `id` that a program has fetched, and told to others, may belong to rows that a crash undoes.
# In a transaction `commit` raises meanwhile.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/show.py" <<'EOF'
import sqlite3
import sys

INSERT = "INSERT INTO item (name) VALUES ('a'), ('b') RETURNING id"


def connect(**arguments):
    return sqlite3.connect(sys.argv[1] + "/data", timeout=0, **arguments)


def state():
    rows = other.execute("SELECT count(*) FROM item").fetchone()[0]
    try:
        other.execute("UPDATE item SET name = 'c'")
    except sqlite3.OperationalError as error:
        return rows, str(error)
    return rows, "not locked"


one, other = connect(isolation_level=None), connect(isolation_level=None)
one.execute("PRAGMA journal_mode = WAL")
one.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)")
cursor = one.execute(INSERT)
first = cursor.fetchone()
seen = state()
print("fetched:", first, "- in_transaction:", one.in_transaction, "- rows for another, and its write:", seen)
assert first == (1,) and not one.in_transaction and seen == (0, "database is locked")
cursor.fetchone()
seen = state()
print("after the last row:", seen)
assert seen == (2, "not locked")
cursor = one.execute(INSERT)
print("after a second execute, nothing fetched:", state())
assert state() == (2, "database is locked")
cursor = None
print("without its cursor:", state())
assert state() == (4, "not locked")
implicit = connect()
cursor = implicit.execute(INSERT)
cursor.fetchone()
try:
    implicit.commit()
    refused = None
except sqlite3.OperationalError as error:
    refused = str(error)
print("commit of a transaction meanwhile:", refused)
assert refused == "cannot commit transaction - SQL statements in progress"
EOF
"${PYTHON:-python3}" "$work/show.py" "$work"
