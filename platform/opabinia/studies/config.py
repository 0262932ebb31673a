"""What a study reports, written in the experiment file beside what it trains; torch-free, like all settings."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from opabinia.config import Config
from opabinia.names import unknown
from opabinia.studies.columns import AVERAGE, TITLES

Asked = Literal["image", "blind", "random"]
"""With the image, without it, or guessed at evenly."""

Measure = Literal["blind", "correlations", "lengths", "masks", "shares"]


class Side(Config):
    """One of the two things that a finding compares."""

    configuration: str | None = Field(default=None, min_length=1)
    """A trial's name without its seed; null for the mean over all configurations of the sweep."""

    asked: Asked = "image"
    """Whether its answers with the image count, those without, or guessing evenly among the choices."""

    keeps: tuple[str, ...] | None = None
    """Only these encoders' features are left as they are, those of the others zeroed; null for all of them."""

    @model_validator(mode="before")
    @classmethod
    def _may_be_a_name(cls, written: Any) -> Any:
        return {"configuration": written} if isinstance(written, str) else written

    @model_validator(mode="after")
    def _masks_have_a_model_and_an_image(self) -> Side:
        if self.keeps is not None and (self.configuration is None or self.asked != "image"):
            raise ValueError("keeps: encoders of one configuration are left out, asked with the image; name it, alone")
        return self

    def __str__(self) -> str:
        """For tables: "caption-vit.sva, blind"."""
        kept = f"keeping {'+'.join(self.keeps) or 'none'}" if self.keeps is not None else ""
        asked = "" if self.asked == "image" else self.asked
        return ", ".join(part for part in (self.configuration or "all configurations", asked, kept) if part)


class Finding(Config):
    """Something that the paper concludes, as a difference that a sweep can show or not."""

    says: str = Field(min_length=1)
    """The conclusion, in a sentence."""

    better: Side
    """What scores more, by what is said; a name alone stands for that configuration with the image."""

    than: Side
    """What scores less."""

    on: str = AVERAGE
    """Where: a family, a published benchmark, or average."""

    by: float | None = None
    """How much more the paper measured, points; null where it gives no number."""

    within: float | None = Field(default=None, gt=0)
    """In place of more: the two differ by less than so many points."""

    @field_validator("on")
    @classmethod
    def _is_a_column(cls, on: str) -> str:
        return _known_column(on, "on")


class StudyConfig(Config):
    """What was published, and what a report on a finished sweep measures and checks."""

    source: str = Field(min_length=1)
    """Where it was published."""

    tolerance: float = Field(default=1.0, gt=0)
    """Points by which a repetition's averages may miss the published ones and still count as the same."""

    published: dict[str, dict[str, float]] = Field(default={})
    """Configuration -> average, family or benchmark -> percent, as published."""

    findings: tuple[Finding, ...] = ()
    """What the paper concludes."""

    measures: tuple[Measure, ...] = ()
    """Beside the scores: blind (with the image, without, and guessing), correlations (tasks that models find hard alike), lengths
    (words an answer), masks (every subset of the encoders left as it is), shares (how much each encoder is attended to or weighs)."""

    @field_validator("published")
    @classmethod
    def _are_columns(cls, published: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for name, values in published.items():
            for column in values:
                _known_column(column, f"published.{name}")
        return published

    def names(self) -> set[str]:
        """Every configuration that is spoken of."""
        sides = [side.configuration for finding in self.findings for side in (finding.better, finding.than)]
        return {*self.published, *(name for name in sides if name is not None)}


def _known_column(column: str, place: str) -> str:
    if column not in TITLES:
        raise unknown("column", column, TITLES, place=place)
    return column
