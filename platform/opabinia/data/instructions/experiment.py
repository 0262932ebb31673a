"""The experiment file of instruction generation: what is written about, by which model, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Discriminator, Field

from opabinia.config import Config
from opabinia.data.instructions.settings import InstructionConfig
from opabinia.data.instructions.wiki import WikiConfig
from opabinia.names import unknown

_TYPES = ("captions", "pages")

LastStep = Literal["topics", "pages", "records"]


class CaptionSource(Config):
    """Pictures with captions -> question/answer pairs, as PMC-Cambrian was made."""

    type: Literal["captions"] = "captions"
    """Chooses captions."""

    files: tuple[Path, ...] = Field(min_length=1)
    """JSONL files, or folders of them: {id, image, caption, source, licence}, or LLaVA records, whose first answer is the caption."""

    images: Path
    """Folder that the pictures are in; the model is not shown them."""


class PageSource(Config):
    """Fields -> topics -> pages -> question/answer pairs, as the Cambrian data engine works (Tong et al. 2024, §5.1)."""

    type: Literal["pages"] = "pages"
    """Chooses pages."""

    fields: Path | None = None
    """File of lines "Field: subfield, subfield", or null for our thirty fields."""

    wiki: WikiConfig
    """Where the pages come from."""

    until: LastStep = "records"
    """Last step of this run; the next run goes on behind it."""


def _check_type(value: object) -> object:
    if isinstance(value, Mapping):
        kind = cast("Mapping[str, Any]", value).get("type")
        if kind is None:
            raise ValueError(f"type: missing; choose one of {', '.join(_TYPES)}")
        if kind not in _TYPES:
            raise unknown("source", str(kind), _TYPES, place="type")
    return cast("object", value)


class InstructionExperiment(InstructionConfig):
    """Everything that decides which records are written."""

    output: Path
    """Folder of the answers and of every step's outcome; on a cluster, one that all nodes see."""

    source: Annotated[CaptionSource | PageSource, Discriminator("type"), BeforeValidator(_check_type)]
    """What the questions and answers are about."""

    progress_s: float = Field(default=15.0, gt=0)
    """Seconds between two lines on how far it is."""
