#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13.
#
# A program reads what a person typed: with `time.fromisoformat`, or as a date if that raises.
# One expects a ValueError for a date, as version 3.10 raises it.
# `time.fromisoformat` reads 20260131 as 20:26:01.310000, though nothing separates the fraction, and 2026-01 as 20:26 with an offset of -01:00.
#
# Source: observed. Its documentation says that a fraction follows a full stop or a comma.
set -euo pipefail
timeout 30 "${PYTHON:-python3}" - <<'EOP'
from datetime import date, datetime, time

for text in ("20260131", "2026-01", "2026"):
    print(f"{text}: time.fromisoformat reads {time.fromisoformat(text).isoformat()}")
assert date.fromisoformat("20260131") == date(2026, 1, 31)
assert time.fromisoformat("20260131") == time(20, 26, 1, 310_000)
assert time.fromisoformat("2026-01").isoformat() == "20:26:00-01:00"
assert time.fromisoformat("2026") == time(20, 26)
both = datetime.fromisoformat("20260131T20260131")
print(f"20260131T20260131: datetime.fromisoformat reads {both.isoformat()}")
assert both == datetime(2026, 1, 31, 20, 26, 1, 310_000)
EOP
