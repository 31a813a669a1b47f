#!/usr/bin/env bash
# Versions: iceoryx2 0.10.0, CPython 3.11.
#
# A service says how many requests of eight bytes a client may have under way, and one client and one server are created.
# One expects the shared memory to grow with that number, since each request needs a place.
# It grows with the square: each request under way has a queue of its own for responses, and the server's memory must do for all of them.
# 4 requests need 12 KiB for a connection, 128 need 6 MiB. Requests of any size that are allocated as they come cost the same, and more.
#
# Source: the FAQ says that the worst case is allocated; how large that is, is observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work" /dev/shm/"$(basename "$work")"*' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'iceoryx2==0.10.0'
cat > "$work/show.py" <<'EOF'
import ctypes
import os
import sys
from pathlib import Path

import iceoryx2 as iox2

iox2.set_log_level(iox2.LogLevel.Error)
config = iox2.config.default()
config.global_cfg.root_path = iox2.Path.new(sys.argv[1])
config.global_cfg.prefix = iox2.FileName.new(os.path.basename(sys.argv[1]))
node = iox2.NodeBuilder.new().config(config).create(iox2.ServiceType.Ipc)


def used():
    return sum(path.stat().st_blocks * 512 for path in Path("/dev/shm").glob(os.path.basename(sys.argv[1]) + "*"))


def needed(window):
    builder = node.service_builder(iox2.ServiceName.new(f"of {window}")).request_response(ctypes.c_uint64, ctypes.c_uint64)
    service = builder.max_active_requests_per_client(window).create()
    server = service.server_builder().create()
    before = used()
    client = service.client_builder().create()
    pending = client.send_copy(ctypes.c_uint64(1))
    request = server.receive()
    size = used() - before
    for each in (request, pending, client, server):
        each.delete()
    return size


sizes = {window: needed(window) for window in (4, 8, 16, 32, 64, 128)}
for window, size in sizes.items():
    print(f"{window:4} requests under way: {size / 1024:8.0f} KiB for a connection")
assert sizes[64] > 10 * sizes[16]
assert sizes[128] > 3.5 * sizes[64]
EOF
timeout 30 "$work/venv/bin/python" "$work/show.py" "$work"
