"""Varied batches, and the same ones padded to one shape, with everything worked out on the host that depends on the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from tests.models.small import random_features

ROWS, WORDS, PICTURES = 4, 20, 2


@dataclass(frozen=True)
class Batch:
    """input_ids, labels, mask: [rows, text]; features: per encoder [pictures, tokens, width]."""

    input_ids: Tensor
    labels: Tensor
    mask: Tensor
    features: list[Tensor]


@dataclass(frozen=True)
class Padded:
    """token_ids, labels: [rows, length], 0 and IGNORE where a picture is; features: per encoder [rows * PICTURES, tokens, width].

    visual_at: [rows * PICTURES * queries], where each visual token stands in the flattened rows.
    """

    token_ids: Tensor
    labels: Tensor
    visual_at: Tensor
    features: list[Tensor]


def varied(step: int) -> Batch:
    """As a data set has it: rows of 8 to 20 words with 0 to 2 pictures, of which 1 to 4 words are answers."""
    generator = torch.Generator().manual_seed(step)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=generator))

    rows = [torch.randint(1, 60, (number(8, WORDS),), generator=generator) for _ in range(ROWS)]
    for row in rows:
        row[1 : 1 + number(0, PICTURES)] = IMAGE_TOKEN
    labels = [row.clone() for row in rows]
    for label in labels:
        label[: -number(1, 4)] = IGNORE
    ids = pad_sequence(rows, batch_first=True)
    mask = torch.arange(ids.shape[1]) < torch.tensor([len(row) for row in rows])[:, None]
    pictures = int((ids == IMAGE_TOKEN).sum())
    return Batch(
        ids, pad_sequence(labels, batch_first=True, padding_value=IGNORE), mask, random_features(pictures, step)
    )


def padded(batch: Batch, queries: int) -> Padded:
    """Every row gets WORDS words and PICTURES pictures; what is added stands at its end, where no real token sees it."""
    pictures = (batch.input_ids == IMAGE_TOKEN).sum(1).tolist()
    rows = zip(batch.input_ids, batch.labels, batch.mask.sum(1).tolist(), pictures, strict=True)
    filled = [_filled(ids[:length], labels[:length], PICTURES - count) for ids, labels, length, count in rows]
    ids, labels = (torch.stack([_spread(row[0], row[which], queries) for row in filled]) for which in (0, 1))
    return Padded(
        token_ids=ids.masked_fill(ids == IMAGE_TOKEN, 0),
        labels=labels,
        visual_at=(ids == IMAGE_TOKEN).flatten().nonzero().flatten(),
        features=[_with_blanks(feature, pictures) for feature in batch.features],
    )


def _filled(ids: Tensor, labels: Tensor, pictures: int) -> tuple[Tensor, Tensor]:
    end = torch.zeros(WORDS + PICTURES - len(ids), dtype=torch.long)
    end[:pictures] = IMAGE_TOKEN
    return torch.cat([ids, end]), torch.cat([labels, torch.full_like(end, IGNORE)])


def _spread(ids: Tensor, row: Tensor, queries: int) -> Tensor:
    """`row` with what stands at each picture of `ids` as often as a picture has visual tokens."""
    return row.repeat_interleave(torch.where(ids == IMAGE_TOKEN, queries, 1))


def _with_blanks(feature: Tensor, pictures: Sequence[int]) -> Tensor:
    """[pictures, tokens, width] -> [rows * PICTURES, tokens, width], zeros after each row's own."""
    blank = feature.new_zeros(PICTURES, *feature.shape[1:])
    return torch.cat([torch.cat([own, blank])[:PICTURES] for own in feature.split(list(pictures))])
