"""`python -m tests.fuzz TARGET [--seconds 60] [--corpus DIRECTORY]`: a coverage-guided fuzzer on one target.

The fuzzer begins with the seeds and with the inputs that earlier runs left in the corpus. It adds the inputs that reach
new code. The exit status is 0 if it finds nothing. It prints a finding as bytes, which you can paste as an `@example`.
"""

import argparse
import re
import subprocess
import sys
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ipcfold.core.wire import Signal
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

_OPTIONS: Final = ("-max_len=1024", "-rss_limit_mb=1024", "-timeout=10", "-len_control=20", "-print_final_stats=1")
_STATUS: Final = re.compile(r"#(\d+)\s+(\w+)\s+cov: (\d+) ft: (\d+)")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, help="where inputs of earlier runs are, and new ones go; if not given, nothing is kept")
    options = parser.parse_args()
    if find_spec("atheris") is None:
        print("atheris is not installed: pip install '.[fuzz]'", file=sys.stderr)
        return 2
    target, seconds = str(options.target), int(options.seconds)
    kept: Path | None = options.corpus
    with TemporaryDirectory(prefix="fuzz") as made, nullcontext(kept) if kept else TemporaryDirectory(prefix="corpus") as corpus:
        work, found = Path(made), Path(corpus)
        found.mkdir(parents=True, exist_ok=True)
        return _report(target, work, _run(target, seconds, work, found))


def _run(target: str, seconds: int, work: Path, corpus: Path) -> int:
    """Fuzz, and return the status of libFuzzer."""
    begin, findings, words = work / "seeds", work / "findings", work / "words"
    begin.mkdir()
    findings.mkdir()
    for number, seed in enumerate(seeds(target)):
        (begin / f"{number:03}").write_bytes(seed)
    words.write_text("".join(map(_dictionary_line, _words())))
    command = [sys.executable, "-m", "tests.fuzz.engine", target, *_OPTIONS, f"-max_total_time={seconds}"]
    command += [f"-dict={words}", f"-artifact_prefix={findings}/", str(corpus), str(begin)]
    last = ""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as process:
        assert process.stderr is not None
        for line in process.stderr:
            status = _STATUS.match(line)
            if status is None:
                print(line, end="", flush=True)
            else:
                last = line
    if (status := _STATUS.match(last)) is not None:
        executions, _, edges, features = status.groups()
        print(f"{target}: {executions} executions, {edges} edges and {features} features covered")
    return process.returncode


def _words() -> list[bytes]:
    """Byte strings that a fuzzer hardly guesses."""
    return [*(signal.frame for signal in Signal), *(signal.content for signal in Signal), b"\0\x0atext/plain", b"\xff\xff\xff\xff"]


def _dictionary_line(word: bytes) -> str:
    """The word in libFuzzer's notation."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'


def _report(target: str, work: Path, status: int) -> int:
    """Print the findings."""
    for finding in sorted((work / "findings").iterdir()):
        print(f"{target} fails ({finding.name.partition('-')[0]}) on\n{finding.read_bytes()!r}")
    print(f"{target}: {'nothing was found' if status == 0 else f'the fuzzer ended with status {status}'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
