#!/usr/bin/env bash
# Versions: rpyc 6.0.2, CPython 3.11.
#
# A server of RPyC returns [1, 2] and {"a": 1}, and the client gets references to them: isinstance says list and dict.
# One expects such an object to behave as the list that it claims to be, as attribute access and iteration do.
# It is unequal to an equal list, since the server compares its list with a reference to the client's, and so does the client.
# The patterns [1, 2] and {"a": 1} do not match, while the patterns list() and dict() do: sequences are known by a flag of the type.
# json.dumps raises "Object of type list is not JSON serializable".
#
# Source: the documentation of RPyC explains references; PEP 634 explains the flag; that they meet in this way is observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'rpyc==6.0.2'
cat > "$work/show.py" <<'EOF'
import json
import socket
import threading

import rpyc
from rpyc.core.stream import SocketStream


class Values(rpyc.Service):
    def exposed_list(self):
        return [1, 2]

    def exposed_dict(self):
        return {"a": 1}


here, there = socket.socketpair()
server = rpyc.connect_stream(SocketStream(there), Values)
threading.Thread(target=server.serve_all, daemon=True).start()
client = rpyc.connect_stream(SocketStream(here))
numbers, table = client.root.list(), client.root.dict()


def kind(value):
    match value:
        case [1, 2] | {"a": 1}:
            return "the elements"
        case list() | dict():
            return "the class alone"
    return "nothing"


def dumped(value):
    try:
        return json.dumps(value)
    except TypeError as error:
        return str(error)


seen = {
    "isinstance": (isinstance(numbers, list), isinstance(table, dict)),
    "its elements": (list(numbers), {key: table[key] for key in table}),
    "equal": (numbers == [1, 2], [1, 2] == numbers, table == {"a": 1}),
    "matches": (kind(numbers), kind(table)),
    "json.dumps": dumped(numbers),
}
for what, got in seen.items():
    print(f"{what:12} {got}")
assert seen == {
    "isinstance": (True, True),
    "its elements": ([1, 2], {"a": 1}),
    "equal": (False, False, False),
    "matches": ("the class alone", "the class alone"),
    "json.dumps": "Object of type list is not JSON serializable",
}
EOF
timeout 30 "$work/venv/bin/python" "$work/show.py"
