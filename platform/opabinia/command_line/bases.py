"""Settings files that begin from another: `base: ../burgess.yaml` at the top of a file lays its fields over that file's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from opabinia.command_line.document import Json
from opabinia.command_line.yaml_text import read_document

BASE = "base"
"""The key that names the file to begin from, relative to the file that it stands in."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One file and what it says itself."""

    file: str
    document: Mapping[str, Json]


def read_layers(file: str) -> list[Layer]:
    """A settings file and those that it begins from, nearest first.

    Raises ValueError, one line that begins with a file's name, where one cannot be read or they go round in a circle.
    """
    layers: list[Layer] = []
    seen: set[Path] = set()
    following: str | None = file
    while following is not None:
        if Path(following).resolve() in seen:
            raise ValueError(f"{layers[-1].file}: base: {following} begins from this file itself; break the circle")
        seen.add(Path(following).resolve())
        document = _read(following, layers[-1].file if layers else None)
        base = document.pop(BASE, None)
        layers.append(Layer(following, document))
        following = _base_file(following, base)
    return layers


def laid_over(layers: Sequence[Layer]) -> dict[str, Json]:
    """What all of them say together, the nearest above the others."""
    document: dict[str, Json] = {}
    for layer in reversed(layers):
        document = _over(document, layer.document)
    return document


def _over(under: Mapping[str, Json], document: Mapping[str, Json]) -> dict[str, Json]:
    """Dictionaries are laid over each other key by key; lists, and dictionaries of another `type`, take the other's place whole."""
    both = {key: _over(under[key], value) for key, value in document.items() if _is_laid_over(under.get(key), value)}
    return {**under, **document, **both}


def _is_laid_over(under: Json, value: Json) -> bool:
    if not (isinstance(under, dict) and isinstance(value, dict)):
        return False
    below, above = cast("dict[str, Json]", under), cast("dict[str, Json]", value)
    return "type" not in above or above["type"] == below.get("type")


def _read(file: str, named_by: str | None) -> dict[str, Json]:
    try:
        return read_document(file)
    except ValueError as error:
        if named_by is None or Path(file).exists():
            raise
        raise ValueError(
            f"{named_by}: base: {Path(file)} does not exist; correct the path, which begins here"
        ) from error


def _base_file(file: str, base: Json) -> str | None:
    if base is None:
        return None
    if not isinstance(base, str):
        raise ValueError(f"{file}: base: expected the path of a settings file, got {str(base)[:60]!r}")
    return str(Path(file).parent / base)
