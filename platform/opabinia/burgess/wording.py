"""What can be said of a scene: a caption in words, and a telegram of one phrase per cell."""

from __future__ import annotations

from opabinia.burgess.scenes import MAX_BAR, Bar, Digit, Scene, Thing
from opabinia.burgess.vocabulary import CELLS, EMPTY, GRID

Telegram = tuple[tuple[str, ...], ...]
"""For each of the 16 cells in reading order, the words that hold there; the cell's own name comes first."""

DESCRIBE = "describe the image ."


def caption(scene: Scene) -> str:
    """Everything there is, in reading order: "flat : large red circle at a2 , small blue star at d4 ."."""
    phrases = [f"{' '.join(words)} at {cell}" for cell, words in _mentions(scene)]
    return f"{scene.kind} : {' , '.join(phrases)} ."


def telegram(scene: Scene) -> Telegram:
    """The scene as words per cell: (("a1", "nothing"), ("a2", "large", "red", "circle"), …)."""
    words_at = dict(_mentions(scene))
    for bar in scene.bars:
        for row in range(_top_row(bar) + 1, GRID):
            words_at[CELLS[row * GRID + bar.column]] = (bar.colour, "bar")
    return tuple((cell, *words_at.get(cell, (EMPTY,))) for cell in CELLS)


def _mentions(scene: Scene) -> list[tuple[str, tuple[str, ...]]]:
    mentions = [(thing.cell, _thing_words(thing)) for thing in scene.things]
    mentions += [(digit.cell, _digit_words(digit)) for digit in scene.digits]
    mentions += [(CELLS[_top_row(bar) * GRID + bar.column], _bar_words(bar)) for bar in scene.bars]
    return sorted(mentions)


def _thing_words(thing: Thing) -> tuple[str, ...]:
    return (thing.size or thing.depth_word, thing.colour, thing.shape)


def _digit_words(digit: Digit) -> tuple[str, ...]:
    return (digit.colour, "digit", str(digit.value))


def _bar_words(bar: Bar) -> tuple[str, ...]:
    return (bar.colour, "bar", str(bar.height))


def _top_row(bar: Bar) -> int:
    return (MAX_BAR - bar.height) * GRID // MAX_BAR
