#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, SQLite 3.40.1.
#
# A program opens a blob with `blobopen` and only reads it, in a database with a write-ahead log.
# One expects that readers do not stop writers there, and that `commit` ends whatever the connection holds.
# `blobopen` takes the lock of writers at once, as `readonly=False` is its default, and keeps it until the blob is closed.
# `in_transaction` is false all the time. `commit` returns, and ends nothing: nobody else can write, and nobody sees what was written.
# A blob with `readonly=True` stops nobody. It keeps all of its connection at the state of the moment at which it was opened.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/show.py" <<'EOF'
import sqlite3
import sys


def connect():
    return sqlite3.connect(sys.argv[1] + "/data", timeout=0, isolation_level=None)


def rows(connection):
    return connection.execute("SELECT count(*) FROM item").fetchone()[0]


def write(connection):
    try:
        connection.execute("INSERT INTO item (content) VALUES (zeroblob(5))")
    except sqlite3.OperationalError as error:
        return str(error)
    return "written"


one, other = connect(), connect()
one.execute("PRAGMA journal_mode = WAL")
one.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, content BLOB)")
write(one)
blob = one.blobopen("item", "content", 1)
read = blob.read()
one.commit()
seen = write(other), one.in_transaction
print("after a read of a blob and a commit, another writer:", seen[0], "- in_transaction:", seen[1])
assert seen == ("database is locked", False)
blob.seek(0)
blob.write(b"hello")
one.commit()
content = "SELECT content FROM item WHERE id = 1"
before = other.execute(content).fetchone()[0]
blob.close()
after = other.execute(content).fetchone()[0]
print("another reader sees after write and commit:", before, "- and after close:", after)
assert (read, before, after) == (bytes(5), bytes(5), b"hello")
with one.blobopen("item", "content", 1, readonly=True):
    print("while a blob is open with readonly=True, another writer:", write(other), "- rows:", rows(one), "of", rows(other))
    assert (rows(one), rows(other)) == (1, 2)
assert rows(one) == 2
EOF
"${PYTHON:-python3}" "$work/show.py" "$work"
