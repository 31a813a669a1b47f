#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13.
#
# A datetime has an offset from UTC of less than a second, which `timezone` allows. `isoformat` writes it with its microseconds.
# One expects that `fromisoformat` reads what `isoformat` wrote, as its documentation says.
# It reads the offset as UTC, without an error, so the datetime is another moment. From one second on, microseconds are kept.
#
# Source: observed.
set -euo pipefail
timeout 30 "${PYTHON:-python3}" - <<'EOP'
from datetime import datetime, timedelta, timezone

kept = {}
for microseconds in (1, -1, 999_999, -999_999, 1_000_000, 1_000_001, -1_500_000):
    sent = datetime(2026, 1, 2, tzinfo=timezone(timedelta(microseconds=microseconds)))
    back = datetime.fromisoformat(sent.isoformat())
    kept[microseconds] = back == sent
    print(f"{sent.isoformat()}  back: {back.isoformat()}  equal: {back == sent}")
assert kept == {1: False, -1: False, 999_999: False, -999_999: False, 1_000_000: True, 1_000_001: True, -1_500_000: True}
EOP
