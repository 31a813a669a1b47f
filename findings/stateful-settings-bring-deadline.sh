#!/usr/bin/env bash
# Versions: CPython 3.11 to 3.13, Hypothesis 6.170.17.
#
# A state machine has a rule that sleeps, so that an example takes longer than the deadline of 200 milliseconds.
# It passes as it is. Then its settings are replaced by ones that set nothing but max_examples=1.
# One expects the rest to stay as it was: a settings object inherits what it does not set.
# The test fails with DeadlineExceeded: a machine starts without a deadline and health checks, whatever the profile says.
# Settings of one's own inherit from the profile instead, and bring both back.
#
# Source: observed. The chapter on stateful tests shows this assignment and says nothing of the deadline.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset CI
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'hypothesis==6.170.17'
cat > "$work/show.py" <<'EOF'
import time

from hypothesis import settings
from hypothesis.errors import DeadlineExceeded
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

settings.register_profile("one", max_examples=1, stateful_step_count=5, database=None, suppress_health_check=[])
settings.load_profile("one")


class Slow(RuleBasedStateMachine):
    @rule()
    def sleep(self):
        time.sleep(0.3)


def outcome(machine):
    try:
        run_state_machine_as_test(machine)
    except DeadlineExceeded as error:
        return type(error).__name__
    return "passes"


default = Slow.TestCase.settings
seen = [(default.deadline, len(default.suppress_health_check) > 0, outcome(Slow))]
Slow.TestCase.settings = settings(max_examples=1)
own = Slow.TestCase.settings
seen.append((own.deadline is not None, len(own.suppress_health_check), outcome(Slow)))
print("as it is:            deadline", seen[0][0], "- health checks suppressed", seen[0][1], "-", seen[0][2])
print("with max_examples=1: deadline", own.deadline, "- health checks suppressed", seen[1][1] > 0, "-", seen[1][2])
assert seen == [(None, True, "passes"), (True, 0, "DeadlineExceeded")]
EOF
cd "$work"
"$work/venv/bin/python" "$work/show.py"
