"""Weights that ship inside an installed package, named `package:NAME/PATH`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

PREFIX = "package:"


def weights_location(weights: str) -> str:
    """Where a library's `from_pretrained` finds `weights`: the folder of a `package:` name, anything else unchanged.

    Raises ValueError when the package is there but the folder in it is not.
    """
    if not weights.startswith(PREFIX):
        return weights
    package, _, path = weights.removeprefix(PREFIX).partition("/")
    folder = Path(str(files(package))) / path
    if not folder.is_dir():
        raise ValueError(f"weights: {weights} is not in the installed package {package}; reinstall it")
    return str(folder)
