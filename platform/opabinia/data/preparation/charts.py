"""Charts of the report, as SVG that takes its colours from the page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from math import log

from opabinia.data.preparation.tally import PIXEL_STEPS_PER_OCTAVE, first_pixel

_WIDTH, _HEIGHT, _FOOT = 360, 190, 40
_CELL, _LEFT = 22, 58
_LEAST_CELLS = 4 * PIXEL_STEPS_PER_OCTAVE
"""On a side, so that pictures which are all alike leave room for the titles."""


def bar_chart(bins: Sequence[tuple[int, int, int]], unit: str) -> str:
    """Bars over bins given as (least number, greatest number, count); `unit` names what the numbers count."""
    if not bins:
        return '<p class="muted">none</p>'
    step, top = _WIDTH / len(bins), max(count for _, _, count in bins)
    bars = "".join(_bar(place * step, step, entry, top, unit) for place, entry in enumerate(bins))
    ground = f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{_HEIGHT - _FOOT}" y2="{_HEIGHT - _FOOT}"/>'
    title = f'<text x="{_WIDTH / 2:g}" y="{_HEIGHT - 4}">{html.escape(unit)}</text>'
    return _svg(_WIDTH, _HEIGHT, f"records by {unit}", bars + ground + title)


def shape_map(shapes: Sequence[tuple[tuple[int, int], int]]) -> str:
    """Cells over width and height, both in `pixel_bin`s, darker where there are more pictures; a line where both are equal."""
    if not shapes:
        return '<p class="muted">none</p>'
    sides = [side for shape, _ in shapes for side in shape]
    # Whole octaves, so that the ends of the scales are powers of two.
    first = min(sides) // PIXEL_STEPS_PER_OCTAVE * PIXEL_STEPS_PER_OCTAVE
    last = max((max(sides) // PIXEL_STEPS_PER_OCTAVE + 1) * PIXEL_STEPS_PER_OCTAVE, first + _LEAST_CELLS)
    size, most = (last - first) * _CELL, max(count for _, count in shapes)
    cells = "".join(_cell(shape, count, most, first, size) for shape, count in shapes)
    square = f'<line class="square" x1="{_LEFT}" y1="{size + 8}" x2="{_LEFT + size}" y2="8"/>'
    frame = f'<rect class="frame" x="{_LEFT}" y="8" width="{size}" height="{size}"/>'
    scales = "".join(_ticks(number, first, size) for number in range(first, last + 1, PIXEL_STEPS_PER_OCTAVE))
    titles = (
        f'<text x="{_LEFT + size / 2:g}" y="{size + 42}">width, pixels</text>'
        f'<text transform="translate(12 {8 + size / 2:g}) rotate(-90)">height, pixels</text>'
    )
    return _svg(_LEFT + size + 24, size + 48, "pictures by width and height", frame + cells + square + scales + titles)


def _svg(width: float, height: float, name: str, content: str) -> str:
    return f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img" aria-label="{html.escape(name)}">{content}</svg>'


def _bar(left: float, step: float, entry: tuple[int, int, int], top: int, unit: str) -> str:
    least, greatest, count = entry
    room = _HEIGHT - _FOOT - 18
    height = max(1.0, room * count / top) if count else 0.0
    y, middle = _HEIGHT - _FOOT - height, left + step / 2
    span = f"{least:,}" if least == greatest else f"{least:,} to {greatest:,}"
    return (
        f'<rect class="bar" x="{left + step * 0.1:.1f}" y="{y:.1f}" width="{step * 0.8:.1f}" height="{height:.1f}">'
        f"<title>{span} {html.escape(unit)}: {count:,}</title></rect>"
        f'<text x="{middle:.1f}" y="{y - 4:.1f}">{short(count)}</text>'
        f'<text class="muted" x="{middle:.1f}" y="{_HEIGHT - _FOOT + 15}">{short(least)}{"" if least == greatest else "+"}</text>'
    )


def _cell(shape: tuple[int, int], count: int, most: int, first: int, size: int) -> str:
    x, y = _LEFT + (shape[0] - first) * _CELL, 8 + size - (shape[1] - first + 1) * _CELL
    # By order of magnitude, so that rare shapes are seen beside common ones.
    shade = 0.15 + 0.85 * (log(count + 1) / log(most + 1))
    spans = [f"{first_pixel(number)} to {first_pixel(number + 1) - 1}" for number in shape]
    title = f"<title>{spans[0]} wide, {spans[1]} high: {count:,}</title>"
    return (
        f'<rect class="bar" x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" fill-opacity="{shade:.2f}">{title}</rect>'
    )


def _ticks(number: int, first: int, size: int) -> str:
    place, label = (number - first) * _CELL, first_pixel(number)
    return (
        f'<text class="muted" x="{_LEFT + place}" y="{size + 24}">{label}</text>'
        f'<text class="muted end" x="{_LEFT - 6}" y="{size + 12 - place}">{label}</text>'
    )


def short(count: int) -> str:
    """At most four signs: 1234567 as 1.2M, 16384 as 16k."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return (
                f"{count / size:.1f}".removesuffix(".0") + letter if count < 10 * size else f"{count // size}{letter}"
            )
    return str(count)
