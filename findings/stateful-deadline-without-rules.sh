#!/usr/bin/env bash
# Versions: CPython 3.11, Hypothesis 6.170.17.
#
# A state machine of Hypothesis gets settings of its own with a deadline of 100 milliseconds, and its rule sleeps for 300.
# One expects DeadlineExceeded, as a test with @given raises it.
# It passes: the time in rules and invariants is subtracted before the deadline is compared. Time in __init__ counts.
# Settings of one's own change something else: a machine starts with all health checks suppressed, whatever the profile says.
# settings(max_examples=1) inherits from the profile instead, so that all health checks are back.
#
# Source: observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset CI
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'hypothesis==6.170.17'
cat > "$work/show.py" <<'EOF'
import time

from hypothesis import given, settings, strategies as st
from hypothesis.errors import DeadlineExceeded
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

brief = settings(max_examples=2, stateful_step_count=2, database=None, deadline=100)


class SlowRule(RuleBasedStateMachine):
    @rule()
    def step(self):
        time.sleep(0.3)


class SlowStart(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        time.sleep(0.3)

    @rule()
    def step(self):
        pass


@brief
@given(st.none())
def slow_test(nothing):
    time.sleep(0.3)


def outcome(run):
    try:
        run()
    except DeadlineExceeded as error:
        return type(error).__name__
    return "passes"


seen = {
    "a test with @given": outcome(slow_test),
    "a machine's __init__": outcome(lambda: run_state_machine_as_test(SlowStart, settings=brief)),
    "a machine's rule": outcome(lambda: run_state_machine_as_test(SlowRule, settings=brief)),
}
for what, end in seen.items():
    print(f"{what:20} sleeps past the deadline: {end}")
suppressed = [len(each.suppress_health_check) for each in (SlowRule.TestCase.settings, settings(max_examples=1))]
print("health checks suppressed: by default", suppressed[0], "- by settings(max_examples=1)", suppressed[1])
assert list(seen.values()) == ["DeadlineExceeded", "DeadlineExceeded", "passes"]
assert suppressed[0] > 0 and suppressed[1] == 0
EOF
cd "$work"
"$work/venv/bin/python" "$work/show.py"
