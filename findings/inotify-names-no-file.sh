#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, Linux 6.18.
#
# A program makes a file with O_TMPFILE, so that nobody sees it before it is whole, gives it its name with linkat, and closes it.
# One expects that a watch of the directory says nothing before it has a name, then that the name was created and closed after writing.
# The watch tells of the opening and of each write at once, by a name such as "#1234" that no directory holds.
# Its last event, of the close after writing, bears that name too. So who waits for IN_CLOSE_WRITE of the real name waits in vain.
# It is alike for a file with two names: what is written is told by the name by which the writer opened it, even if that is deleted.
# A renamed file is told by its new name.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/show.py" <<'EOF'
import ctypes
import os
import re
import struct
import sys

IN_NONBLOCK, IN_ISDIR, AT_FDCWD, AT_SYMLINK_FOLLOW = os.O_NONBLOCK, 0x40000000, -100, 0x400
KINDS = {0x2: "modify", 0x8: "close after writing", 0x20: "open", 0x100: "create"}
libc = ctypes.CDLL(None, use_errno=True)
watch = libc.inotify_init1(IN_NONBLOCK)
os.chdir(sys.argv[1])
assert libc.inotify_add_watch(watch, b".", sum(KINDS)) > 0


def events(what):
    try:
        content = os.read(watch, 65536)
    except BlockingIOError:
        content = b""
    found = []
    while content:
        _, mask, _, length = struct.unpack_from("iIII", content)
        if not mask & IN_ISDIR:
            found.append((KINDS[mask], re.sub(r"^#\d+$", "#number", content[16 : 16 + length].rstrip(b"\0").decode())))
        content = content[16 + length :]
    print(f"{what}: {found}")
    return found


descriptor = os.open(".", os.O_TMPFILE | os.O_WRONLY)
os.write(descriptor, b"half")
assert os.listdir(".") == []
assert events("written without a name") == [("open", "#number"), ("modify", "#number")]
assert libc.linkat(AT_FDCWD, f"/proc/self/fd/{descriptor}".encode(), AT_FDCWD, b"name", AT_SYMLINK_FOLLOW) == 0
assert events("given a name") == [("create", "name")]
os.write(descriptor, b" and whole")
os.close(descriptor)
assert events("written and closed") == [("modify", "#number"), ("close after writing", "#number")]
assert os.listdir(".") == ["name"]
for what, expected in (("link", "first"), ("rename", "second")):
    descriptor = os.open("first", os.O_CREAT | os.O_WRONLY)
    if what == "link":
        os.link("first", "second")
        os.unlink("first")
    else:
        os.rename("first", "second")
    events(f"created, {what}")
    os.write(descriptor, b"content")
    os.close(descriptor)
    assert events(f"after {what}, written and closed") == [("modify", expected), ("close after writing", expected)]
    os.unlink("second")
EOF
mkdir "$work/directory"
"${PYTHON:-python3}" "$work/show.py" "$work/directory"
