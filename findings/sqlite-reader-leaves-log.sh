#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, SQLite 3.40.1.
#
# A program opens a database that has a write-ahead log with `mode=ro`, and nobody else has it open.
# One expects that it changes nothing in the directory. It creates two files there, and leaves them.
# A server closes its database while such a reader has it open, and the reader closes it later.
# One expects the last who closes to move the log into the database and to remove the log, as it is with readers that may write.
# A read-only connection does not. All programs have ended in order, and the file of the database lacks what was committed.
# A copy of that one file is whole, passes its check, and is an old state.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/show.py" <<'EOF'
import os
import shutil
import sqlite3
import sys

directory = sys.argv[1] + "/database"
path = directory + "/data"


def rows(connection):
    return connection.execute("SELECT count(*) FROM item").fetchone()[0]


def after(mode):
    """The files, and the rows in a copy of the database alone, after a writer and then a reader of this mode have closed it."""
    writer = sqlite3.connect(path, isolation_level=None)
    reader = sqlite3.connect(f"file:{path}?mode={mode}", uri=True)
    writer.execute("INSERT INTO item VALUES (1)")
    committed = rows(reader)
    writer.close()
    reader.close()
    files = sorted(os.listdir(directory))
    shutil.copyfile(path, sys.argv[1] + "/copy")
    copy = sqlite3.connect(sys.argv[1] + "/copy")
    assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    found = rows(copy)
    copy.close()
    print(f"the last is mode={mode}: {files}, rows committed: {committed}, rows in the file: {found}")
    return len(files), committed - found


os.mkdir(directory)
first = sqlite3.connect(path, isolation_level=None)
first.execute("PRAGMA journal_mode = WAL")
first.execute("CREATE TABLE item (number)")
first.close()
assert os.listdir(directory) == ["data"]
assert after("rw") == (1, 0)
reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
rows(reader)
reader.close()
left = sorted(os.listdir(directory))
print("after a reader of mode=ro alone:", left)
assert left == ["data", "data-shm", "data-wal"]
assert after("ro") == (3, 1)
EOF
"${PYTHON:-python3}" "$work/show.py" "$work"
