"""Imports the modules of another checkout beside those of the same names in the working directory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import final

from ipcfold.cli.importing import search


@final
class Checkout:
    """A directory of modules, which this process imports only within `entered`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()
        self._modules = dict[str, ModuleType]()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Search this directory first, and have its modules under their names. Afterwards those names are as before."""
        search()
        others = {name: sys.modules.get(name) for name in self._modules}
        sys.modules.update(self._modules)
        sys.path.insert(0, str(self._directory))
        before = sys.modules.keys() - self._modules.keys()
        known = len(sys.modules)
        try:
            yield
        finally:
            sys.path.remove(str(self._directory))
            if len(sys.modules) != known:
                self._modules |= {name: sys.modules[name] for name in sys.modules.keys() - before if self.has(sys.modules[name])}
            for name in self._modules:
                other = others.get(name)
                if other is None:
                    sys.modules.pop(name, None)
                else:
                    sys.modules[name] = other

    def has(self, module: ModuleType) -> bool:
        """Whether the module stands in this directory."""
        places = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", ())]
        return any(Path(place).is_relative_to(self._directory) for place in places)

    def holds(self, name: str) -> bool:
        """Whether a module of this name was imported from here."""
        return name in self._modules
