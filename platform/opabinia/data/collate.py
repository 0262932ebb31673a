"""From rows of the stream to one padded batch of tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from opabinia.data.prompts import IGNORE


@dataclass(frozen=True, slots=True)
class TextBatch:
    """A batch padded on the right.

    input_ids: LongTensor [batch, text], IMAGE_TOKEN once per image, pad_id after the end of a row.
    labels: LongTensor [batch, text], IGNORE wherever the model is not asked to predict.
    attention_mask: BoolTensor [batch, text], True on real tokens.
    samples: LongTensor [batch, text], the number of a token's sample within its row, from 1, and 0 at padding; None where every row
        is one sample.
    images: addresses of all pictures, in the order of their placeholders, row by row.
    image_keys: per picture the sha256 of its bytes.
    """

    input_ids: Tensor
    labels: Tensor
    attention_mask: Tensor
    samples: Tensor | None
    images: list[str]
    image_keys: list[str]


def collate_text(rows: Sequence[Mapping[str, Any]], pad_id: int) -> TextBatch:
    """Pad rows of `streaming.reading.ROW_SCHEMA` to the longest of them."""
    ids = [torch.as_tensor(row["input_ids"], dtype=torch.long) for row in rows]
    labels = [torch.as_tensor(row["labels"], dtype=torch.long) for row in rows]
    lengths = torch.tensor([len(row) for row in ids])
    input_ids = pad_sequence(ids, batch_first=True, padding_value=pad_id)
    return TextBatch(
        input_ids=input_ids,
        labels=pad_sequence(labels, batch_first=True, padding_value=IGNORE),
        attention_mask=torch.arange(input_ids.shape[1]) < lengths[:, None],
        samples=_samples(rows),
        images=[image for row in rows for image in row["images"]],
        image_keys=[key for row in rows for key in row["image_keys"]],
    )


def _samples(rows: Sequence[Mapping[str, Any]]) -> Tensor | None:
    if all(len(row["lengths"]) == 1 for row in rows):
        return None
    numbers = [
        torch.arange(1, len(row["lengths"]) + 1).repeat_interleave(torch.as_tensor(row["lengths"])) for row in rows
    ]
    return pad_sequence(numbers, batch_first=True)
