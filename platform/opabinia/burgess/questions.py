"""Questions with known answers, in the four families of the Cambrian study (Tong et al. 2024, §3.1)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations

from opabinia.burgess.scenes import MAX_BAR, Scene, Thing
from opabinia.burgess.vocabulary import COLOURS, MIXTURES, PLURALS, SHAPES, SIDES

DEPTH_MARGIN = 0.5
"""Least difference of depth for a depth question, in units of the nearest distance."""
DISTANCE_RATIO = 1.5
"""Least ratio of the two distances for a distance question, so that the answer is never ambiguous."""
SPATIAL_MARGIN = 14.0
"""Least offset for a spatial relation, pixels."""


@dataclass(frozen=True, slots=True)
class Item:
    """A question about one scene, or about none where the family is knowledge and the task a fact."""

    family: str
    task: str
    text: str
    answer: str
    choices: tuple[str, ...]


def ask(scene: Scene, rng: random.Random) -> list[Item]:
    """One question of every task that the scene allows, in a fixed order of tasks."""
    drawn = (list(task(scene, rng)) for task in _TASKS)
    return [rng.choice(items) for items in drawn if items]


def fact(rng: random.Random) -> Item:
    """A question that needs no picture."""
    return rng.choice((_fact_sides, _fact_mixture, _fact_sum, _fact_larger))(rng)


def _colour(scene: Scene, rng: random.Random) -> Iterator[Item]:
    for thing in _unique(scene.things, lambda other: other.shape):
        yield Item("general", "colour", f"what colour is the {thing.shape} ?", thing.colour, COLOURS)


def _shape(scene: Scene, rng: random.Random) -> Iterator[Item]:
    for thing in _unique(scene.things, lambda other: other.colour):
        yield Item("general", "shape", f"what shape is the {thing.colour} thing ?", thing.shape, SHAPES)


def _exists(scene: Scene, rng: random.Random) -> Iterator[Item]:
    if not scene.things:
        return
    thing = rng.choice(scene.things)
    # Half the negatives share an attribute with something present, so that spotting a colour is not enough.
    absent = [f"{thing.colour} {rng.choice(SHAPES)}", f"{rng.choice(COLOURS)} {thing.shape}"]
    phrase = rng.choice((thing.phrase, rng.choice(absent)))
    answer = "yes" if any(other.phrase == phrase for other in scene.things) else "no"
    yield Item("general", "existence", f"is there a {phrase} ?", answer, ("yes", "no"))


def _size(scene: Scene, rng: random.Random) -> Iterator[Item]:
    for thing in _unique(scene.things, lambda other: other.phrase):
        if thing.size:
            yield Item("general", "size", f"is the {thing.phrase} small or large ?", thing.size, ("small", "large"))


def _sides(scene: Scene, rng: random.Random) -> Iterator[Item]:
    for thing in _unique(scene.things, lambda other: other.colour):
        text = f"how many sides does the {thing.colour} thing have ?"
        yield Item("knowledge", "sides", text, str(SIDES[thing.shape]), tuple(map(str, SIDES.values())))


def _digit(scene: Scene, rng: random.Random) -> Iterator[Item]:
    choices = tuple(map(str, range(10)))
    for digit in scene.digits:
        text = "what digit is shown ?" if len(scene.digits) == 1 else f"what is the {digit.colour} digit ?"
        yield Item("ocr_chart", "digit", text, str(digit.value), choices)


def _extreme_bar(scene: Scene, rng: random.Random) -> Iterator[Item]:
    if not scene.bars:
        return
    ranked = sorted(scene.bars, key=lambda bar: bar.height)
    word, bar = rng.choice((("tallest", ranked[-1]), ("shortest", ranked[0])))
    choices = tuple(other.colour for other in scene.bars)
    yield Item("ocr_chart", "extreme_bar", f"what colour is the {word} bar ?", bar.colour, choices)


def _bar_height(scene: Scene, rng: random.Random) -> Iterator[Item]:
    choices = tuple(map(str, range(1, MAX_BAR + 1)))
    for bar in scene.bars:
        yield Item("ocr_chart", "bar_height", f"how tall is the {bar.colour} bar ?", str(bar.height), choices)


def _count(scene: Scene, rng: random.Random) -> Iterator[Item]:
    if not scene.things:
        return
    # Asked of present and absent shapes alike, so zero occurs (CV-Bench includes existence checks among counts).
    shape = rng.choice((rng.choice(scene.things).shape, rng.choice(SHAPES)))
    shapes = sum(other.shape == shape for other in scene.things)
    for noun, number in ((PLURALS[shape], shapes), ("things", len(scene.things))):
        yield Item("vision_centric", "Count", f"how many {noun} are there ?", str(number), _near(number, rng))


def _near(number: int, rng: random.Random) -> tuple[str, ...]:
    """Four consecutive counts that contain the number, as CV-Bench offers counts near the true value."""
    first = max(0, number - rng.randint(0, 3))
    return tuple(map(str, range(first, first + 4)))


def _relation(scene: Scene, rng: random.Random) -> Iterator[Item]:
    for one, other in permutations(_unique(scene.things, lambda thing: thing.phrase), 2):
        across, down = one.x - other.x, one.y - other.y
        if abs(across) >= SPATIAL_MARGIN:
            yield _relation_item(one, other, ("left", "right"), "left" if across < 0 else "right")
        if scene.kind == "flat" and abs(down) >= SPATIAL_MARGIN:
            yield _relation_item(one, other, ("above", "below"), "above" if down < 0 else "below")


def _relation_item(one: Thing, other: Thing, choices: tuple[str, str], answer: str) -> Item:
    text = f"is the {one.phrase} {choices[0]} or {choices[1]} of the {other.phrase} ?"
    return Item("vision_centric", "Relation", text, answer, choices)


def _depth(scene: Scene, rng: random.Random) -> Iterator[Item]:
    if scene.kind != "room":
        return
    for one, other in permutations(_unique(scene.things, lambda thing: thing.phrase), 2):
        if abs(one.depth - other.depth) >= DEPTH_MARGIN:
            nearer = one if one.depth < other.depth else other
            text = f"which is closer , the {one.phrase} or the {other.phrase} ?"
            yield Item("vision_centric", "Depth", text, nearer.phrase, (one.phrase, other.phrase))


def _distance(scene: Scene, rng: random.Random) -> Iterator[Item]:
    if scene.kind != "room":
        return
    for anchor, one, other in permutations(_unique(scene.things, lambda thing: thing.phrase), 3):
        near, far = _ground_distance(anchor, one), _ground_distance(anchor, other)
        if max(near, far) >= DISTANCE_RATIO * min(near, far):
            closer = one if near < far else other
            text = f"which is closer to the {anchor.phrase} , the {one.phrase} or the {other.phrase} ?"
            yield Item("vision_centric", "Distance", text, closer.phrase, (one.phrase, other.phrase))


def _ground_distance(one: Thing, other: Thing) -> float:
    (x, z), (u, w) = one.ground, other.ground
    return ((x - u) ** 2 + (z - w) ** 2) ** 0.5


def _unique(things: tuple[Thing, ...], key: Callable[[Thing], str]) -> list[Thing]:
    keys = [key(thing) for thing in things]
    return [thing for thing in things if keys.count(key(thing)) == 1]


def _fact_sides(rng: random.Random) -> Item:
    shape = rng.choice(SHAPES)
    text = f"how many sides does a {shape} have ?"
    return Item("knowledge", "fact", text, str(SIDES[shape]), tuple(map(str, SIDES.values())))


def _fact_mixture(rng: random.Random) -> Item:
    (one, other), mixture = rng.choice(tuple(MIXTURES.items()))
    if rng.random() < 0.5:
        one, other = other, one
    return Item("knowledge", "fact", f"what colour do {one} and {other} make ?", mixture, COLOURS)


def _fact_sum(rng: random.Random) -> Item:
    one, other = rng.randint(1, 6), rng.randint(1, 6)
    return Item("knowledge", "fact", f"how many is {one} plus {other} ?", str(one + other), _near(one + other, rng))


def _fact_larger(rng: random.Random) -> Item:
    one, other = rng.sample(range(10), 2)
    text = f"which is larger , {one} or {other} ?"
    return Item("knowledge", "fact", text, str(max(one, other)), (str(one), str(other)))


_TASKS: tuple[Callable[[Scene, random.Random], Iterator[Item]], ...] = (
    _colour, _shape, _exists, _size, _sides, _digit, _extreme_bar, _bar_height, _count, _relation, _depth, _distance,
)  # fmt: skip
