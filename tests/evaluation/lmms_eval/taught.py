"""A checkpoint that has learned a few answers by heart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from connectors.settings.sva import SvaSettings
from opabinia.data.prompts import IGNORE, encode_conversation
from opabinia.data.records import Turn
from opabinia.encoders.loading import load_encoder
from opabinia.models.answering import EncodedPictures, Prompt
from opabinia.models.checkpoint import save_checkpoint
from tests.models.small import ENCODERS, small_model, tokenizer

ROUNDS = 30

Lesson = tuple[Prompt, str]
"""A prompt with a picture, and an answer in words of the toy world."""


class Batch(NamedTuple):
    input_ids: Tensor
    features: list[Tensor]
    mask: Tensor
    labels: Tensor


def save_taught(sets: Sequence[Sequence[Lesson]], folder: Path) -> None:
    """Teach each set as one batch, in turns."""
    model, encode = small_model(SvaSettings(queries=16)), EncodedPictures([load_encoder(name) for name in ENCODERS])
    batches = [batch_of(lessons, encode) for lessons in sets]
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(ROUNDS):
        for batch in batches:
            optimizer.zero_grad()
            loss = model(*batch).loss
            assert loss is not None
            loss.backward()
            optimizer.step()
    save_checkpoint(model, tokenizer(), folder)


def batch_of(lessons: Sequence[Lesson], encode: EncodedPictures) -> Batch:
    told = [encode_conversation(tokenizer(), [*prompt.turns, Turn("assistant", word)]) for prompt, word in lessons]
    ids = pad_sequence([torch.tensor(one.input_ids) for one in told], batch_first=True)
    labels = pad_sequence([torch.tensor(one.labels) for one in told], batch_first=True, padding_value=IGNORE)
    mask = pad_sequence([torch.ones(len(one.labels)) for one in told], batch_first=True).bool()
    return Batch(ids, encode([prompt for prompt, _ in lessons]), mask, labels)
