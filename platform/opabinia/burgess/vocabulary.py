"""The words of Burgess: what scenes are made of and what can be said about them."""

from __future__ import annotations

COLOURS = ("red", "green", "blue", "yellow", "purple", "white")
SHAPES = ("circle", "square", "triangle", "star", "cross")
SIZES = ("small", "large")
DEPTHS = ("near", "middle", "far")
NUMBERS = tuple(str(number) for number in range(16))

PLURALS = {"circle": "circles", "square": "squares", "triangle": "triangles", "star": "stars", "cross": "crosses"}
SIDES = {"circle": 0, "triangle": 3, "square": 4, "star": 10, "cross": 12}
MIXTURES = {("red", "blue"): "purple", ("blue", "yellow"): "green"}

GRID = 4
"""Side of the grid of named cells that captions refer to: rows a–d from the top, columns 1–4 from the left."""
CELLS = tuple(f"{row}{column}" for row in "abcd"[:GRID] for column in range(1, GRID + 1))
EMPTY = "nothing"

PAD, BOS, EOS, UNKNOWN, USER, ASSISTANT = "<pad>", "<s>", "</s>", "<unk>", "<user>", "<assistant>"
SPECIAL = (PAD, BOS, EOS, UNKNOWN, USER, ASSISTANT)

_GLUE = (
    "a above and are at bar below chart closer colour describe digit digits do does flat have how image in is "
    "large larger left make many no of one or plus right room scene shape shortest shown sides tall tallest "
    "the there thing things to what which yes . , ? : "
)


def all_words() -> tuple[str, ...]:
    """Every word of the language, special tokens first; the order is the token id."""
    words = (
        *SPECIAL, *COLOURS, *SHAPES, *PLURALS.values(), *SIZES, *DEPTHS, *NUMBERS, *CELLS, EMPTY, *_GLUE.split(),
    )  # fmt: skip
    return tuple(dict.fromkeys(words))


def cell_name(x: float, y: float, side: float) -> str:
    """Name of the cell that holds a point of a picture of `side` pixels: "b3" is second row, third column."""
    row, column = (min(GRID - 1, max(0, int(value * GRID / side))) for value in (y, x))
    return CELLS[row * GRID + column]
