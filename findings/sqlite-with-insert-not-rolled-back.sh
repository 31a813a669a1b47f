#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, SQLite 3.40.1.
#
# A connection with the default isolation level begins a transaction before each INSERT, UPDATE, DELETE and REPLACE.
# One expects the same of an INSERT that begins with WITH.
# The module looks at the first word only. It begins no transaction, and SQLite commits the statement at once.
# `rollback` and a `with` block that raises do not undo it. After another INSERT the same statement is undone, as a transaction is open.
# `autocommit=False`, from 3.12 on, begins a transaction always, and undoes it.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/show.py" <<'EOF'
import sqlite3
import sys

PLAIN = "INSERT INTO item SELECT 1"
WITH = "WITH new (name) AS (SELECT 1) INSERT INTO item SELECT name FROM new"


def kept(*statements, **arguments):
    connection = sqlite3.connect(":memory:", **arguments)
    connection.execute("CREATE TABLE item (name)")
    connection.commit()
    try:
        with connection:
            for statement in statements:
                connection.execute(statement)
            raise ValueError
    except ValueError:
        pass
    return connection.execute("SELECT count(*) FROM item").fetchone()[0]


seen = kept(PLAIN), kept(WITH), kept(PLAIN, WITH)
print("rows after a rollback: INSERT", seen[0], "- WITH ... INSERT", seen[1], "- both", seen[2])
assert seen == (0, 1, 0)
if sys.version_info >= (3, 12):
    strict = kept(WITH, autocommit=False)
    print("WITH ... INSERT with autocommit=False:", strict)
    assert strict == 0
EOF
"${PYTHON:-python3}" "$work/show.py"
