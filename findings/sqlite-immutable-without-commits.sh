#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, SQLite 3.40.
#
# A database in WAL mode lies in a directory where its reader may not write, with the -wal of a process that was killed.
# With mode=ro SQLite says that it cannot open the file. immutable=1 is the usual advice for such directories.
# One expects that a reader then sees what was committed, or an error.
# It sees the database without its -wal: rows that were committed with synchronous=FULL are missing, and nothing says so.
# Without a -wal, mode=ro fails, too: with "attempt to write a readonly database", though nobody writes.
#
# Source: https://sqlite.org/wal.html#read_only_databases names the three ways to read such a database. What is missing is observed.
set -euo pipefail
place=$(mktemp -d)
trap 'chmod -R u+w "$place"; rm -rf "$place"' EXIT
timeout 50 "${PYTHON:-python3}" - "$place" <<'EOP'
import os
import shutil
import sqlite3
import sys

print("SQLite", sqlite3.sqlite_version)
place = sys.argv[1]
os.chmod(place, 0o755)
writer = sqlite3.connect(f"{place}/a", isolation_level=None)
writer.execute("PRAGMA journal_mode = WAL")
writer.execute("PRAGMA synchronous = FULL")
writer.execute("CREATE TABLE t (x)")
writer.execute("INSERT INTO t VALUES (1)")
writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
writer.execute("INSERT INTO t VALUES (2)")  # committed, and in the -wal
for name in ("killed", "closed"):
    os.mkdir(f"{place}/{name}")
for end in ("", "-wal"):
    shutil.copy(f"{place}/a{end}", f"{place}/killed/a{end}")
writer.close()
shutil.copy(f"{place}/a", f"{place}/closed/a")
for name in ("killed", "closed"):
    for file in os.listdir(f"{place}/{name}"):
        os.chmod(f"{place}/{name}/{file}", 0o444)
    os.chmod(f"{place}/{name}", 0o555)
if os.geteuid() == 0:  # root may write everywhere
    os.setgid(65534)
    os.setuid(65534)


def read(name: str, options: str) -> object:
    try:
        database = sqlite3.connect(f"file:{place}/{name}/a?{options}", uri=True)
        return [x for (x,) in database.execute("SELECT x FROM t ORDER BY x")]
    except sqlite3.OperationalError as error:
        return str(error)


seen = {(name, options): read(name, options) for name in ("killed", "closed") for options in ("mode=ro", "immutable=1")}
for (name, options), found in seen.items():
    print(f"{name} writer, {options}: {found}")
assert seen == {
    ("killed", "mode=ro"): "unable to open database file",
    ("killed", "immutable=1"): [1],
    ("closed", "mode=ro"): "attempt to write a readonly database",
    ("closed", "immutable=1"): [1, 2],
}
EOP
