"""Encoders' shares as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from opabinia.evaluation.shares.shares import EncoderShares, Shares
from opabinia.evaluation.table import short_names

_LEGENDS = {
    "attention": "percent of attention, one softmax over the keys of all encoders, meant over queries, heads and questions",
    "router": "percent of the router's weight, meant over questions",
    "weights": "percent: norm of the first linear layer's columns times the features' root mean square (connectors/weight_share.py)",
    "tokens": "percent: norm of each encoder's tokens, of which the sum is made, meant over questions",
}


def render_shares(shares: EncoderShares) -> str:
    """A row a family, over all places; then, where there are several places, a row each, over all families alike."""
    families = [(family, shares.of_family(family)) for family in shares.families]
    rows = [*families, ("average", _mean([row for _, row in families]))]
    places = [
        (place, _mean([shares.of_family(family, place) for family in shares.families])) for place in shares.places
    ]
    headings = ["share of", *(short_names([encoder]) for encoder in shares.encoders)]
    return "\n".join([*_table(headings, rows), *_further(places), "", _LEGENDS[shares.kind]])


def _further(places: Sequence[tuple[str, Shares]]) -> list[str]:
    return ["", *_table(["at"], places)] if len(places) > 1 else []


def _mean(rows: Sequence[Shares]) -> Shares:
    return tuple(sum(column) / len(rows) for column in zip(*rows, strict=True))


def _table(headings: Sequence[str], rows: Sequence[tuple[str, Shares]]) -> list[str]:
    columns = len(rows[0][1])
    lines = [
        [*headings, *[""] * (columns + 1 - len(headings))],
        *([name, *(f"{100 * share:.1f}" for share in of)] for name, of in rows),
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(columns + 1)]
    return [
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]).rstrip()
        for line in lines
    ]
