"""Imports go down only: shells, local, core, values; and the core and the values touch no effects."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import ipcfold

ROOT = Path(ipcfold.__file__).parent
VALUES = {
    "cause",
    "draft",
    "errors",
    "excuse",
    "message",
    "peer",
    "limits",
    "continuation",
    "inputs",
    "effects",
    "result",
    "chain",
    "events",
}
BUILD = {"accelerator", "_fast"}  # which asks the environment, once, how the library was built
SHELLS = {"aio", "blocking"}
EFFECTS = {"socket", "select", "selectors", "signal", "threading", "time", "os", "logging", "asyncio", "subprocess"}


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found.add(str(node.module))
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer(module: str) -> int:
    """0 for values, 1 for the core, 2 for what the shells over unix sockets share, 3 for shells, 4 for what is built on them."""
    first = module.split(".", maxsplit=1)[0]
    if first == "log":  # its values and its protocol are pure
        return 2 if module in {"log", "log.memory"} or module.startswith("log.sqlite") else 1
    return 0 if first in VALUES | BUILD else {"core": 1, "local": 2}.get(first, 3 if first in SHELLS else 4)


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_imports_go_down(file: Path) -> None:
    own = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for module in imports(file):
        if module.startswith("ipcfold."):
            used = module.removeprefix("ipcfold.")
            assert layer(used) <= layer(own), f"{own} imports {used}"
            if layer(own) == layer(used) == 3:
                assert used.split(".")[0] == own.split(".")[0], f"the shell {own} imports the shell {used}"
    if layer(own) < 2 and own not in BUILD:
        assert not {module.split(".")[0] for module in imports(file)} & EFFECTS


def test_no_module_imports_itself_through_others() -> None:
    """Imports for type checkers count, too; `import ipcfold` is that of the public names, which are resolved when they are used."""
    names = {".".join(file.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): file for file in FILES}
    graph = {name: imports(file) & names.keys() - {"ipcfold", name} for name, file in names.items()}
    tuple(TopologicalSorter(graph).static_order())  # raises a CycleError that names the circle


def test_the_layers_are_all_there() -> None:
    names = {path.stem for path in ROOT.iterdir()}
    assert names >= VALUES | SHELLS | {"core", "local"}
