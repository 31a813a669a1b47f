#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, SQLite 3.40.1.
#
# A program empties the write-ahead log by `PRAGMA wal_checkpoint(TRUNCATE)`, while another has begun to read.
# One expects the checkpoint to wait for the reader, and writers to go on, as readers never stop writers in this mode.
# The checkpoint takes the lock of writers first, and then waits for the reader as long as its own `timeout` says.
# So one cursor with a row left stops all writers for that time, by way of somebody else's checkpoint.
# The checkpoint then raises nothing. Its row begins with 1, and the file of the log is as large as before.
#
# Source: observed. The documentation of SQLite says that FULL and what is beyond it block writers while they run.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/show.py" <<'EOF'
import os
import sqlite3
import sys
import threading
import time

path = sys.argv[1] + "/data"


def connect(timeout):
    return sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)


def write(connection):
    try:
        connection.execute("INSERT INTO item VALUES (1)")
    except sqlite3.OperationalError as error:
        return str(error)
    return "written"


keeper, writer, patient, reader = connect(8), connect(0), connect(1), connect(0)
writer.execute("PRAGMA journal_mode = WAL")
writer.execute("CREATE TABLE item (number)")
for _ in range(10):
    write(writer)
cursor = reader.execute("SELECT * FROM item")
cursor.fetchone()
print("while somebody reads:", write(writer))
result = []
checkpoint = threading.Thread(target=lambda: result.append(keeper.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()))
checkpoint.start()
while write(writer) == "written":
    assert not result
    time.sleep(0.01)
seen = write(patient), bool(result)
print("while a checkpoint waits for that reader, a writer that waits a second:", seen[0])
assert seen == ("database is locked", False)
checkpoint.join()
size = os.path.getsize(path + "-wal")
print("result of the checkpoint:", result[0], "- bytes of the log:", size, "- a writer afterwards:", write(writer))
assert result[0][0] == 1 and size > 0
EOF
"${PYTHON:-python3}" "$work/show.py" "$work"
