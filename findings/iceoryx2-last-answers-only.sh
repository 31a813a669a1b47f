#!/usr/bin/env bash
# Versions: iceoryx2 0.10.0, CPython 3.11.
#
# A client sends a request, and the server sends ten responses to it. The client reads after that.
# One expects ten responses, or an error at one of the sends: the server's strategy is called RetryUntilDelivered.
# The client gets the last two. The first eight are overwritten, and neither end gets an error.
# The strategy is for a queue without overflow, which is not the usual one. With enable_safe_overflow_for_responses(False) the third send waits.
# It is the same for requests whose responses nobody awaits: of ten the last four arrive.
#
# Source: the configuration documents enable_safe_overflow and the sizes of queues; that the strategy does nothing then is observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'iceoryx2==0.10.0'
cat > "$work/show.py" <<'EOF'
import ctypes
import sys

import iceoryx2 as iox2

iox2.set_log_level(iox2.LogLevel.Error)
config = iox2.config.default()
config.global_cfg.root_path = iox2.Path.new(sys.argv[1])
node = iox2.NodeBuilder.new().config(config).create(iox2.ServiceType.Ipc)
service = node.service_builder(iox2.ServiceName.new("numbers")).request_response(ctypes.c_uint64, ctypes.c_uint64).open_or_create()
server, client = service.server_builder().create(), service.client_builder().create()
strategy = str(server.backpressure_strategy)

pending = client.send_copy(ctypes.c_uint64(0))
request = server.receive()
for number in range(10):
    request.send_copy(ctypes.c_uint64(number))
responses = []
while (response := pending.receive()) is not None:
    responses.append(response.payload().contents.value)
    response.delete()
request.delete()
pending.delete()

for number in range(10):
    client.send_copy(ctypes.c_uint64(number)).delete()
requests = []
while (request := server.receive()) is not None:
    requests.append(request.payload().contents.value)
    request.delete()
print(f"the server's strategy: {strategy}")
print(f"ten responses were sent, which arrived: {responses}")
print(f"ten requests were sent, which arrived:  {requests}")
assert strategy.endswith("RetryUntilDelivered")
assert responses == [8, 9]
assert requests == [6, 7, 8, 9]
EOF
timeout 30 "$work/venv/bin/python" "$work/show.py" "$work"
