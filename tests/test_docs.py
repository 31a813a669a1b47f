"""What the pages of the documentation and README show is true, whichever pages there are. Each language has its treatment:

- `python`, which begins with `# name.py`: a program, written to a file of that name, and typed as mypy sees it;
- `python`, else: run in the page's own namespace, from top to bottom, examples with `>>>` as doctests;
- `console`: a session of bash in the directory of the page's programs: what it prints is what stands there;
- `sh`: commands that are too much for a test, or for tools of others: bash can parse them, and what they name of ours is there;
- `ini`: a unit of systemd, which begins with `# name.service` or `# name.socket`;
- `toml`: configuration.

In a session `...` stands for anything, and the lines of one block may come in any order, as several processes print them.
"""

import configparser
import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from docs.draw import PLACE, described, diagrams
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser

from ipcfold.cli.app import app
from tests.environment import PLAIN, ROOT
from tests.nats.broker import broker
from tests.shells.support import PATIENCE, python
from tests.test_exports import PUBLIC

DOCS = ROOT / "docs"
PAGES = {str(page.relative_to(ROOT)): page for page in (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))}
LANGUAGES = {"python", "console", "sh", "ini", "toml"}
EXTRAS = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
TOOLS = ("systemd-socket-activate",)  # without which a session is skipped
OF_OTHERS = {"nats-server", "loginctl", "journalctl", "systemctl", "source"}
IN_ONE_SESSION = {"docs/how-to/command-line.md"}  # all the blocks of a page: tests/cli runs it
MODULES_OF_OTHERS = {"pytest", "venv"}
BROKER = "nats://127.0.0.1:4222"  # on the pages; the test has another


class Block(NamedTuple):
    language: str
    source: str
    name: str
    """Of the file that it is, if it is one."""


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """The fenced blocks of a page in these languages, or all of them, in order."""
    for language, source in re.findall(r"^```([^\n`]*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE):
        if not languages or language in languages:
            yield Block(language, source, name_of(source))


def name_of(source: str) -> str:
    """The name in the first line, if that is all it has."""
    named = re.match(r"# ([\w.@-]+\.(?:py|service|socket))\n", source)
    return named[1] if named else ""


def pages_with(language: str) -> list[str]:
    return [key for key, page in PAGES.items() if any(blocks(page, language))]


def all_blocks(language: str, but: Collection[str] = ()) -> list[object]:
    pages = {key: page for key, page in PAGES.items() if key not in but}
    return [pytest.param(key, block, id=f"{key}-{number}") for key in pages for number, block in enumerate(blocks(pages[key], language), 1)]


def write(page: str, directory: Path) -> list[Path]:
    """Write the files that the page shows; they."""
    named = [block for block in blocks(PAGES[page], "python", "ini") if block.name]
    for block in named:
        (directory / block.name).write_text(block.source)
    return [directory / block.name for block in named]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_in_a_language_that_is_tested(page: str) -> None:
    found = [block.language for block in blocks(PAGES[page])]
    assert set(found) <= LANGUAGES
    assert PAGES[page].read_text().count("```") == 2 * len(found)


@pytest.mark.parametrize("page", pages_with("python"))
def test_the_python_of_a_page_runs(page: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPCFOLD_DIRECTORY", str(directory))
    monkeypatch.syspath_prepend(directory)
    for program in write(page, directory):  # so that those of one page are not taken for those of another
        monkeypatch.delitem(sys.modules, program.stem, raising=False)
    document = Document.parse(str(PAGES[page]), PythonCodeBlockParser())
    document.namespace["__name__"] = "page"
    for example in document.examples():
        if not name_of(str(example.parsed)):
            example.evaluate()


@pytest.mark.parametrize("page", [page for page in pages_with("python") if any(block.name for block in blocks(PAGES[page], "python"))])
def test_the_programs_of_a_page_are_typed(page: str, directory: Path) -> None:
    programs = [path for path in write(page, directory) if path.suffix == ".py"]
    environment = {**PLAIN, "MYPYPATH": str(directory)}
    checked = python("-m", "mypy", "--config-file", ROOT / "mypy.ini", *programs, environment=environment, check=False)
    assert checked.stdout.startswith("Success"), checked.stdout


@pytest.mark.parametrize("page", pages_with("python"))
def test_the_programs_of_a_page_are_run(page: str) -> None:
    """By a session of the page, or as a module of what is run; README's are run by a test of their own, and pytest finds a conftest."""
    run = "".join(block.source for block in blocks(PAGES[page], "console"))
    imported = "".join(block.source for block in blocks(PAGES[page], "python"))
    names = [block.name.removesuffix(".py") for block in blocks(PAGES[page], "python") if block.name not in {"", "conftest.py"}]
    idle = [name for name in names if not re.search(rf"\b{name}\b", run) and f"from {name} import" not in imported]
    assert idle == [] or page == "README.md"


@pytest.mark.parametrize(("page", "block"), all_blocks("console", but=IN_ONE_SESSION))
def test_the_sessions_of_a_page_print_what_they_show(page: str, block: Block, directory: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        programs = [path for path in write(page, directory) if BROKER in path.read_text()]
        if programs:
            url = stack.enter_context(broker(tmp_path)).url
            for program in programs:
                program.write_text(program.read_text().replace(BROKER, url))
        shows(block, directory)


def shows(block: Block, directory: Path) -> None:
    """A session prints what it shows."""
    lines = block.source.splitlines()
    assert lines[0].startswith("$ ")
    typed = [line[2:] for line in lines if line.startswith(("$ ", "> "))]
    for tool in TOOLS:
        if any(line.startswith(f"{tool} ") for line in typed) and shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    shown = [line for line in lines if not line.startswith(("$ ", "> "))]
    printed = session("\n".join(typed), directory)
    left = list(printed)
    for line in sorted(shown, key=lambda line: "..." in line):
        pattern = ".*".join(map(re.escape, line.split("...")))
        found = next((other for other in left if re.fullmatch(pattern, other)), None)
        assert found is not None, (line, printed)
        left.remove(found)
    assert left == [], printed


def session(script: str, directory: Path) -> list[str]:
    """The lines that it prints; whatever it leaves running is killed."""
    environment = {
        **PLAIN,
        "IPCFOLD_DIRECTORY": str(directory),
        "PATH": f"{Path(sys.executable).parent}:{PLAIN['PATH']}",
        "PYTHONWARNINGS": "ignore:This process:DeprecationWarning",  # of a fork; whether a thread still ends then depends on time
    }
    command, pipe = [shutil.which("bash") or "bash", "-c", script], subprocess.PIPE
    with subprocess.Popen(
        command, cwd=directory, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as bash:
        try:
            return bash.communicate(timeout=PATIENCE)[0].splitlines()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(bash.pid, signal.SIGKILL)


@pytest.mark.parametrize(("page", "block"), all_blocks("sh"))
def test_the_commands_of_a_page_name_what_exists(page: str, block: Block) -> None:
    subprocess.run(["bash", "-n", "-c", block.source], check=True, timeout=PATIENCE)  # noqa: S607 - the bash of whoever runs this
    for line in block.source.replace("\\\n", " ").splitlines():
        for words in (shlex.split(part, comments=True) for part in line.split("&&")):
            match [Path(words[0]).name, *words[1:]]:
                case ["pip", "install", *wanted]:
                    assert extras(wanted) <= EXTRAS, line
                case ["ipcfold", command, *_]:
                    assert command in set(app), line
                case ["python" | "python3", "-m", module, *arguments]:
                    assert module in MODULES_OF_OTHERS or known(module, arguments), line
                case _:
                    assert Path(words[0]).name in OF_OTHERS, line


def extras(arguments: list[str]) -> set[str]:
    """The extras of ours that are to be installed."""
    return {extra for names in re.findall(r"(?:^|[ .]|ipcfold)\[([\w,-]+)\]", " ".join(arguments)) for extra in names.split(",")}


def known(module: str, arguments: list[str]) -> bool:
    if importlib.util.find_spec(module) is None:
        return False
    options = [argument for argument in arguments if argument.startswith("--")]
    told = python("-m", module, "--help").stdout if options else ""
    return all(re.search(rf"{option}\b", told) for option in options)


@pytest.mark.parametrize(("page", "block"), all_blocks("ini"))
def test_the_units_of_a_page_are_valid_for_systemd(page: str, block: Block, directory: Path) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.read_string(block.source)
    assert set(unit.sections()) <= {"Unit", "Service", "Socket", "Install"}
    written = {path.name for path in write(page, directory)}
    if "Socket" in unit:
        assert Path(block.name).stem + ".service" in written
        assert Path(unit["Socket"]["ListenStream"]).name == Path(block.name).stem + ".sock"
    else:
        assert Path(unit["Service"]["ExecStart"].split()[-1]).name in written
    verifier = shutil.which("systemd-analyze")
    if verifier is not None:
        for each in directory.glob("*.service"):  # of a socket, too
            each.write_text(re.sub("^ExecStart=.*", "ExecStart=/bin/true", each.read_text(), flags=re.MULTILINE))
        command, environment = [verifier, "--user", "verify", str(directory / block.name)], {**PLAIN, "XDG_RUNTIME_DIR": str(directory)}
        verified = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment)
        assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize(("page", "block"), all_blocks("toml"))
def test_the_configuration_of_a_page_is_toml(page: str, block: Block) -> None:
    assert tomllib.loads(block.source)


@pytest.mark.parametrize("name", diagrams())
def test_the_diagrams_are_those_of_the_code(name: str) -> None:
    assert described((PLACE / f"{name}.svg").read_text()) == diagrams()[name]


def test_every_diagram_is_shown() -> None:
    shown = {name for page in PAGES.values() for name in re.findall(r"diagrams/([\w-]+)\.svg", page.read_text())}
    assert shown == set(diagrams()) == {file.stem for file in PLACE.iterdir()}


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_in_the_reference(module: str) -> None:
    pages = "".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    told = set(re.findall(r"^::: ([\w.]+)", pages, re.MULTILINE))
    assert module in told or {f"{module}.{name}" for name in PUBLIC[module].split()} <= told


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert [key for key in PAGES if key.startswith("docs/") and f"{key.removeprefix('docs/')}\n" not in navigation] == []
