#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13.
#
# A BytesIO is written to, its `getvalue()` is hashed and dropped, and the BytesIO is written over with bytes of the same length.
# One expects that the hash of a bytes object is that of its bytes.
# The second `getvalue()` equals the new bytes, and has the hash of the old ones: a dictionary that has the new bytes does not find it.
# BytesIO writes in place where nobody else holds the object, and does not reset the hash that the object keeps.
# A write that changes the length resets it.
#
# Source: observed; Modules/_io/bytesio.c writes into the object, Objects/bytesobject.c keeps the hash in it.
set -euo pipefail
"${PYTHON:-python3}" - <<'EOF'
from io import BytesIO
from sys import version_info

old, new = b"o" * 100, b"n" * 100


def second_value(overwrite):
    """The value of a BytesIO that had another value before, which was hashed."""
    file = BytesIO()
    file.write(old)
    assert {old: True}[file.getvalue()]  # this looks up its hash
    file.seek(0)
    overwrite(file)
    return file.getvalue()


def in_place(file):
    file.write(new)


def through_a_view(file):
    file.getbuffer()[:] = new


def shorter_first(file):
    file.truncate(0)
    file.getvalue()
    file.write(new)


seen = {}
for overwrite in (in_place, through_a_view, shorter_first):
    value = second_value(overwrite)
    assert value == new
    seen[overwrite.__name__] = hash(value) == hash(new), value in {new}, hash(value) == hash(old)
    print("{}.{} {:15} equal: True  same hash: {!s:5}  found in a set: {!s:5}  hash of the old bytes: {}".format(
        version_info[0], version_info[1], overwrite.__name__, *seen[overwrite.__name__]))
assert seen == {"in_place": (False, False, True), "through_a_view": (False, False, True), "shorter_first": (True, True, False)}
EOF
