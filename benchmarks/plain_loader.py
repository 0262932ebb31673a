"""What one writes without a platform: a PyTorch Dataset over a JSONL file, whose lines are found by their offsets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision.transforms.functional import normalize, to_tensor

from opabinia.data.prompts import IGNORE
from opabinia.data.records import parse_record
from opabinia.data.trainable import TextEncoding
from opabinia.encoders.entry import EncoderEntry

Item = tuple[Tensor, Tensor, list[Tensor]]
"""Tokens [text], labels [text], and per encoder [3, input_size, input_size]."""


class LazyRecords(Dataset[Item]):
    """Records with one picture each; `open_once` shares the decoded picture among the encoders."""

    def __init__(
        self, file: Path, images: Path, encoding: TextEncoding, entries: Sequence[EncoderEntry], *, open_once: bool
    ) -> None:
        self.file, self.images, self.encoding = file, images, encoding
        self.entries, self.open_once = entries, open_once
        with file.open("rb") as lines:
            self.offsets = [0, *(lines.tell() for _ in iter(lines.readline, b""))][:-1]

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, index: int) -> Item:
        with self.file.open("rb") as lines:
            lines.seek(self.offsets[index])
            record = parse_record(lines.readline().decode(), str(self.file), index + 1)
        encoded = self.encoding.encode(record)
        path = self.images / record.images[0]
        if self.open_once:
            image = Image.open(path).convert("RGB")
            pixels = [prepare(image, entry) for entry in self.entries]
        else:
            pixels = [prepare(Image.open(path).convert("RGB"), entry) for entry in self.entries]
        return torch.tensor(encoded.input_ids), torch.tensor(encoded.labels), pixels


def plain_batches(records: LazyRecords, *, batch: int, steps: int, workers: int) -> Iterator[Any]:
    """Batches in random order, epoch after epoch."""
    sampler = RandomSampler(records, num_samples=steps * batch, generator=torch.Generator().manual_seed(0))
    loader: Any = DataLoader(records, batch, sampler=sampler, num_workers=workers, collate_fn=_collate)
    yield from loader


def prepare(image: Image.Image, entry: EncoderEntry) -> Tensor:
    """Padded to a square as LLaVA pads, resized and normalised as image processors do."""
    side = max(image.size)
    square = Image.new("RGB", (side, side), tuple(int(value * 255) for value in entry.fill or entry.mean))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    sized = square.resize((entry.input_size, entry.input_size), Image.Resampling.BICUBIC)
    return normalize(to_tensor(sized), list(entry.mean), list(entry.std))


def _collate(items: list[Item]) -> tuple[Tensor, Tensor, list[Tensor]]:
    ids, labels, pixels = zip(*items, strict=True)
    return (
        pad_sequence(ids, batch_first=True),
        pad_sequence(labels, batch_first=True, padding_value=IGNORE),
        [torch.stack(one) for one in zip(*pixels, strict=True)],
    )
