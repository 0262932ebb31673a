"""What a stage can train, by name, and which name is a part of which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import AfterValidator

from opabinia.encoders.catalogue import find_encoder
from opabinia.names import unknown

CONNECTOR: Final = "connector"
SVA: Final = "sva"
SVA_IN_LLM: Final = "sva_in_llm"
LANGUAGE_MODEL: Final = "language_model"
ENCODERS: Final = "encoders"

_WHOLES = {SVA: CONNECTOR, SVA_IN_LLM: SVA}
_NAMES = (CONNECTOR, SVA, SVA_IN_LLM, LANGUAGE_MODEL, ENCODERS)


def encoder_part(encoder: str) -> str:
    """The name of one encoder, given by its catalogue id."""
    return f"{ENCODERS}.{encoder}"


def lineage(part: str) -> tuple[str, ...]:
    """The part and, from the inside out, all that it is a part of: sva_in_llm, sva, connector."""
    whole = ENCODERS if part.startswith(f"{ENCODERS}.") else _WHOLES.get(part)
    return (part,) if whole is None else (part, *lineage(whole))


def nearest_of(part: str, named: Iterable[str]) -> str | None:
    """The innermost of `named` that the part is, or is a part of; None where there is none."""
    names = set(named)
    return next((name for name in lineage(part) if name in names), None)


def _known(name: str) -> str:
    if name.startswith(f"{ENCODERS}."):
        find_encoder(name.removeprefix(f"{ENCODERS}."))
    elif name not in _NAMES:
        raise unknown("part of the model", name, (*_NAMES, encoder_part("ID")))
    return name


Part = Annotated[str, AfterValidator(_known)]
"""connector (all of it), sva (its SVA layers and queries), sva_in_llm (those inside the language model), language_model, encoders
(all of them), or encoders.ID for one by its catalogue id."""
