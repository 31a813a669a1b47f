"""The version of this package, which a program that has no metadata of packages (a zip file, a frozen one) knows, too."""

from typing import Final

VERSION: Final = "0.1.0"
