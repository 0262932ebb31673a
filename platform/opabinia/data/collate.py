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
    images: per row the picture's path, "" for text only.
    image_keys: per row the picture's sha256, "" for text only.
    """

    input_ids: Tensor
    labels: Tensor
    attention_mask: Tensor
    images: list[str]
    image_keys: list[str]


def collate_text(rows: Sequence[Mapping[str, Any]], pad_id: int) -> TextBatch:
    """Pad rows of `stream_source` (or any rows of that shape) to the longest of them."""
    ids = [torch.tensor(row["input_ids"], dtype=torch.long) for row in rows]
    labels = [torch.tensor(row["labels"], dtype=torch.long) for row in rows]
    lengths = torch.tensor([len(row) for row in ids])
    input_ids = pad_sequence(ids, batch_first=True, padding_value=pad_id)
    return TextBatch(
        input_ids=input_ids,
        labels=pad_sequence(labels, batch_first=True, padding_value=IGNORE),
        attention_mask=torch.arange(input_ids.shape[1]) < lengths[:, None],
        images=[row["image"] for row in rows],
        image_keys=[row["image_key"] for row in rows],
    )
