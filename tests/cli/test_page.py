"""The page on the command line is true: what it shows is what comes."""

import re
import subprocess
from pathlib import Path

from tests.cli.support import environment
from tests.cli.test_status import PAGE
from tests.shells.support import PATIENCE
from tests.test_docs import blocks


def test_the_commands_print_what_the_page_shows(directory: Path) -> None:
    """All of it in one shell, with a mark before what each command prints; … on the page stands for anything."""
    (program,) = blocks(PAGE, "python")
    (directory / "counter.py").write_text(program.source)
    session = "".join(block.source for block in blocks(PAGE, "console"))
    script = "".join(f"echo @\n{line.removeprefix('$ ')}\n" for line in session.splitlines() if line.startswith("$ "))
    command, variables = ["/bin/bash", "-c", f"exec 2>&1\n{script}\nwait"], environment(directory)
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=variables, cwd=directory, timeout=PATIENCE, check=True
    )
    shown = [text.strip("\n") for text in done.stdout.split("@\n")][1:]
    expected = [text.partition("\n")[2].strip("\n") for text in re.split(r"^\$ ", session, flags=re.MULTILINE)][1:]
    assert len(shown) == len(expected) > 10
    for told, came in zip(expected, shown, strict=True):
        assert re.fullmatch(re.escape(told).replace("…", ".+"), came, re.DOTALL), (told, came)
