"""The first example of README on two hosts, which two network namespaces play: NATS takes the place of `IPC()`."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environment import PLAIN, ROOT
from tests.nats.broker import BINARY
from tests.shells.support import PATIENCE, python

MADE = 'NATS("nats://10.97.13.1:4222")'


def command(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=PATIENCE)


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a cable between them."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("only root can make network namespaces")
    one, other = (f"ipcfold-{os.getpid()}-{side}" for side in "ab")
    try:
        command("ip", "netns", "add", one)
    except subprocess.CalledProcessError:
        pytest.skip("this system makes no network namespaces")
    try:
        command("ip", "netns", "add", other)
        command("ip", "-n", one, "link", "add", "cable0", "type", "veth", "peer", "name", "cable1", "netns", other)
        for host, cable, address in ((one, "cable0", "10.97.13.1/24"), (other, "cable1", "10.97.13.2/24")):
            command("ip", "-n", host, "address", "add", address, "dev", cable)
            command("ip", "-n", host, "link", "set", cable, "up")
            command("ip", "-n", host, "link", "set", "lo", "up")
        yield one, other
    finally:
        command("ip", "netns", "delete", one)
        subprocess.run(["ip", "netns", "delete", other], check=False, capture_output=True)  # noqa: S607 - as above


def programs(directory: Path) -> list[Path]:
    """The first example of README, each program with NATS in place of `IPC()`, which stands in one line of it."""
    blocks = re.findall(r"```python\n# (\w+)\.py\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    found = {name: source for name, source in blocks if "IPC()" in source}
    assert found.keys() >= {"server", "client"}
    for name, source in found.items():
        assert source.count("IPC()") == 1
        (directory / f"{name}.py").write_text(f"from ipcfold.nats import NATS\n{source.replace('IPC()', MADE)}")
    return [directory / f"{name}.py" for name in found]


def test_the_example_of_readme_is_typed_over_nats(tmp_path: Path) -> None:
    for program in programs(tmp_path):  # a type that names errors imports those of this shell
        source = (
            program.read_text().replace("import IPC, Continuation, ListenError,", "import Continuation,").replace("import IPC,", "import")
        )
        program.write_text(source.replace("import NATS\n", "import NATS, ListenError\n" if "ListenError" in source else "import NATS\n"))
    options = "--config-file", ROOT / "mypy.ini", tmp_path / "server.py", tmp_path / "client.py"
    checked = python("-m", "mypy", *options, environment=PLAIN, check=False)
    assert checked.stdout.startswith("Success"), checked.stdout


def test_the_example_of_readme_runs_on_two_hosts(hosts: tuple[str, str], tmp_path: Path) -> None:
    programs(tmp_path)
    on, at = [["ip", "netns", "exec", host] for host in hosts]
    environment = {**PLAIN, "PATH": f"{Path(sys.executable).parent}:{PLAIN['PATH']}", "PYTHONPATH": str(ROOT / "src")}
    running = [subprocess.Popen([*on, BINARY, "-a", "10.97.13.1", "-js", "-sd", str(tmp_path)], stderr=subprocess.PIPE, text=True)]
    try:
        assert running[0].stderr is not None
        assert any("Server is ready" in line for line in running[0].stderr)
        running.append(
            subprocess.Popen([*on, sys.executable, "server.py"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        )
        client = [*at, sys.executable, "client.py"]
        asked = subprocess.run(client, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert (asked.returncode, asked.stdout, asked.stderr) == (0, "pong\n", "")
    finally:
        for process in running:
            process.kill()
            process.communicate()
