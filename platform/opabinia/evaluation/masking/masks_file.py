"""Masked scores as one file, from which intervals can be computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from opabinia.evaluation.masking.stand_ins import Masking
from opabinia.evaluation.masking.utilisation import Kept, MaskedScores, information_gap, utilisation
from opabinia.evaluation.questions import Question
from opabinia.evaluation.scoring import FamilyScores
from opabinia.storage.atomic import whole_text


@dataclass(frozen=True, slots=True)
class MaskedSubset:
    """credits: of the file's questions, in their order, from 0 to 1."""

    kept: Kept
    average: float
    scores: FamilyScores
    credits: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class MaskedFile:
    """utilisation: percent by encoder, then by family and "average"; information_gap by these; None where the whole model scores 0."""

    masking: Masking
    seed: int
    encoders: tuple[str, ...]
    utilisation: Mapping[str, Mapping[str, float | None]]
    information_gap: Mapping[str, float | None]
    subsets: tuple[MaskedSubset, ...]
    questions: tuple[Question, ...]


def save_masks(path: Path, masked: MaskedScores) -> None:
    """Write all of it, whole or not at all."""
    with whole_text(path) as file:
        file.write(_adapter().dump_json(_as_file(masked), indent=1).decode() + "\n")


def load_masks(path: Path) -> MaskedScores:
    """Read what save_masks wrote. Raises ValueError naming the file when it is damaged or missing."""
    try:
        file = _adapter().validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"masks: {path} does not exist; score the masks again") from None
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ValueError(f"masks: {path} is damaged at {place or 'its start'}; score the masks again") from None
    return MaskedScores(
        file.encoders,
        {subset.kept: subset.scores for subset in file.subsets},
        {subset.kept: subset.credits for subset in file.subsets},
        file.questions,
        file.masking,
        file.seed,
    )


def _as_file(masked: MaskedScores) -> MaskedFile:
    columns = masked.columns
    return MaskedFile(
        masked.masking,
        masked.seed,
        masked.encoders,
        {encoder: {c: utilisation(masked, encoder, c) for c in columns} for encoder in masked.encoders},
        {column: information_gap(masked, column) for column in columns},
        tuple(MaskedSubset(k, s.average, s, masked.credits.get(k, ())) for k, s in masked.scores.items()),
        masked.questions,
    )


@cache
def _adapter() -> TypeAdapter[MaskedFile]:
    return TypeAdapter(MaskedFile)
