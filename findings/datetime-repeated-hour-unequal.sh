#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, with the time zones of the system or of tzdata 2026.6.
#
# A datetime with a ZoneInfo becomes text by `isoformat` and comes back by `fromisoformat`, with the same offset from UTC.
# One expects that the two are equal, as they are in the rest of the year: comparison uses the moment.
# In the hour that a change of the clocks repeats they are unequal, although their difference is zero and their timestamps are equal.
# So a test that compares what it sent with what came back fails in one hour of the year.
#
# Source: PEP 495, on comparison between zones.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'tzdata==2026.6'
cat > "$work/show.py" <<'EOP'
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

berlin = ZoneInfo("Europe/Berlin")
seen = []
for hour, fold in ((1, 0), (2, 0), (2, 1), (3, 0)):
    sent = datetime(2026, 10, 25, hour, 30, tzinfo=berlin, fold=fold)
    back = datetime.fromisoformat(sent.isoformat())
    seen.append(back == sent)
    print(f"{sent.isoformat()}  equal: {back == sent!s:5}  difference: {back - sent}  same timestamp: {back.timestamp() == sent.timestamp()}")
    assert back - sent == timedelta(0)
    assert back.timestamp() == sent.timestamp()
assert seen == [True, False, False, True]
EOP
timeout 30 "$work/venv/bin/python" "$work/show.py"
