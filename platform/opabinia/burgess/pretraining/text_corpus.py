"""The text that Burgess's language model is pretrained on: scenes told in words, and conversations about them.

A scene comes as prose (its caption), or as a telegram: sixteen positions, one per cell, each the sum of the embeddings of the
words that hold there ("phrase pooling"). The telegram teaches the model to read a whole phrase from one position, which is what
a connector will ask of it; no picture and no vision encoder is involved.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from opabinia.burgess.questions import Item, ask, fact
from opabinia.burgess.scenes import Scene, sample_scene
from opabinia.burgess.vocabulary import ASSISTANT, BOS, EOS, USER, all_words
from opabinia.burgess.wording import DESCRIBE, caption, telegram

WORDS_PER_POSITION = 4
CONTEXT_WEIGHT = 0.1
"""Loss weight of words that are not an answer: the model is to answer, but should know the language too."""
_IDS = {word: index for index, word in enumerate(all_words())}


@dataclass(slots=True)
class Passage:
    """Positions of up to four summed words, the word to predict after each, and that prediction's weight."""

    positions: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])
    weights: list[float] = field(default_factory=list[float])
    """Weight of predicting the position itself from what stands before it."""
    tasks: list[str] = field(default_factory=list[str])
    """Task of the answer that the position belongs to, "" outside answers."""

    def add(self, words: str, weight: float, task: str = "") -> None:
        for word in words.split():
            self.positions.append((_IDS[word],))
            self.weights.append(weight)
            self.tasks.append(task)

    def add_cells(self, cells: tuple[tuple[str, ...], ...]) -> None:
        for cell in cells:
            self.positions.append(tuple(_IDS[word] for word in cell))
            self.weights.append(0.0)
            self.tasks.append("")


def write_passage(rng: random.Random) -> Passage:
    """One conversation of one to four turns about a scene told as a telegram, as prose or not at all."""
    passage = Passage()
    passage.add(BOS, 0.0)
    scene = sample_scene(rng, "train")
    items = ask(scene, rng)
    rng.shuffle(items)
    form = rng.random()
    if form < 0.85:
        _tell_telegram(passage, scene, items, rng)
    elif form < 0.93:
        passage.add(f"{USER} {caption(scene)}", CONTEXT_WEIGHT)
        _converse(passage, items[:3], opened=True)
    else:
        _converse(passage, [fact(rng) for _ in range(3)], opened=False)
    return passage


def _tell_telegram(passage: Passage, scene: Scene, items: list[Item], rng: random.Random) -> None:
    passage.add(USER, 0.0)
    cells = telegram(scene)
    # Half the telegrams omit the names of the cells, so that reading order alone must tell where things are.
    named = rng.random() < 0.5
    passage.add_cells(tuple(cell if named else cell[1:] for cell in cells))
    if rng.random() < 0.3:
        passage.add(f"{DESCRIBE} {ASSISTANT}", CONTEXT_WEIGHT)
        passage.add(f"{caption(scene)} {EOS}", 0.5, "caption")
        return
    if rng.random() < 0.15:
        items = [fact(rng), *items]
    _converse(passage, items[:4], opened=True)


def _converse(passage: Passage, items: list[Item], *, opened: bool) -> None:
    for turn, item in enumerate(items):
        if turn or not opened:
            passage.add(USER, 0.0)
        passage.add(f"{item.text} {ASSISTANT}", CONTEXT_WEIGHT)
        passage.add(f"{item.answer} {EOS}", 1.0, item.task)
