"""What prompts are about, whichever way it was come by, and why some of it is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opabinia.data.instructions.settings import InstructionConfig


@dataclass(frozen=True, slots=True)
class Subject:
    """A picture and what is written about it.

    id, source: of the record that is made. image: relative to the images folder.
    licence: of the picture and the texts. texts: what the template may name. template: its name.
    origin: further entries of the provenance.
    """

    id: str
    source: str
    image: str
    licence: str
    texts: Mapping[str, str]
    template: str
    origin: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rejection:
    """A subject that no record is made of. place: file:line, or its id."""

    place: str
    source: str
    reason: str


def licence_of(stated: object, source: str, settings: InstructionConfig) -> str:
    """The licence that a record states, else the one given for its source. Raises ValueError when there is neither."""
    licence = stated if isinstance(stated, str) and stated.strip() else settings.licence_of(source)
    if not licence:
        raise ValueError(f"licences: none is given for source {source!r}, whose records state none; add it")
    return licence
