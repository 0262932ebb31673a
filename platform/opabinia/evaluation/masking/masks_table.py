"""Masked scores as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from opabinia.evaluation.masking.utilisation import AVERAGE, MaskedScores, information_gap, utilisation
from opabinia.evaluation.table import short_names

_LEGEND = (
    "score: percent with {} for the features of the other encoders, best first; CUR: percent of the whole model's",
    "score that is lost without the encoder, below 0 where it does harm; IG: largest CUR minus smallest (arXiv 2507.03262)",
)
_INSTEAD = {"zero": "zeros", "mean": "the mean grid", "resample": "another picture's"}


def render_masks(masked: MaskedScores) -> str:
    """Every subset by its average, then each encoder's conditional utilisation rate and the information gap."""
    columns = masked.columns
    ranked = sorted(masked.scores, key=lambda kept: -masked.score(kept, AVERAGE))
    scores = [
        (short_names(kept) or "none", *(f"{masked.score(kept, column):.1f}" for column in columns)) for kept in ranked
    ]
    rates = [
        (short_names([encoder]), *(_signed(utilisation(masked, encoder, column)) for column in columns))
        for encoder in masked.encoders
    ]
    gaps = ("IG", *(_signed(information_gap(masked, column)) for column in columns))
    tables = [_table(("score of", *columns), scores), _table(("CUR of", *columns), [*rates, gaps])]
    return "\n\n".join([*tables, "\n".join(_LEGEND).format(_INSTEAD[masked.masking])])


def _signed(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:+.1f}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    drawn = [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    ]
    return "\n".join([drawn[0], "  ".join("─" * width for width in widths), *drawn[1:]])
