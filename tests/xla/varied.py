"""Batches as a data set has them: text alone, one picture and several, rows of many lengths, and several samples in a row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from opabinia.data.collate import TextBatch
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.models.places import StaticShape
from tests.models.small import random_features

ROWS, WORDS, PICTURES = 4, 20, 2


@dataclass(frozen=True)
class Varied:
    """features: per encoder [pictures, tokens, width], empty for text alone."""

    text: TextBatch
    features: list[Tensor]


def varied(step: int, *, packed: bool = False) -> Varied:
    """Rows of 8 to 20 words, 1 to 4 of them answers, with up to 2 pictures; of four batches one has none and one a single one."""
    generator = torch.Generator().manual_seed(step)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=generator))

    rows = [torch.randint(1, 60, (number(8, WORDS),), generator=generator) for _ in range(ROWS)]
    most = {0: [0] * ROWS, 1: [0, 1, 0, 0]}.get(step % 4, [number(0, PICTURES) for _ in range(ROWS)])
    for row, pictures in zip(rows, most, strict=True):
        row[1 : 1 + pictures] = IMAGE_TOKEN
    labels = [row.clone() for row in rows]
    for label in labels:
        label[: -number(1, 4)] = IGNORE
    ids = pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])[:, None]
    here = torch.arange(ids.shape[1])
    mask = here < lengths
    # The second sample begins behind the pictures, where there is one.
    samples = torch.where(mask, 1 + (here > number(3, 7)).long() * (step % 3 > 0), 0) if packed else None
    text = TextBatch(ids, pad_sequence(labels, batch_first=True, padding_value=IGNORE), mask, samples, [], [])
    return Varied(text, random_features(sum(most), step) if sum(most) else [])


def shape(queries: int, *, packed: bool = False) -> StaticShape:
    """Into which all of them fit."""
    return StaticShape(WORDS + PICTURES * (queries - 1), PICTURES, packed)
