"""Visual tokens land exactly where the placeholders stood."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.models.splice import splice

QUERIES = 3
ROWS = st.lists(st.lists(st.one_of(st.integers(1, 50), st.just(IMAGE_TOKEN)), min_size=1, max_size=8), min_size=1)


@settings(deadline=None)
@given(rows=ROWS, pad_left=st.booleans())
def test_every_sample_reads_as_if_spliced_alone(rows: list[list[int]], pad_left: bool) -> None:
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in rows])
    images = sum(row.count(IMAGE_TOKEN) for row in rows)
    lengths = torch.arange(images) % (QUERIES + 1)
    visual = -torch.arange(1.0, int(lengths.sum()) + 1).view(-1, 1)
    spliced = splice(ids, mask, ids[..., None].float(), visual, lengths, labels=ids, pad_left=pad_left)
    upcoming, counts = iter(visual.flatten().tolist()), iter(lengths.tolist())
    for index, row in enumerate(rows):
        expected = [
            v for token in row for v in ([next(upcoming) for _ in range(next(counts))] if token < 0 else [token])
        ]
        kept = spliced.attention_mask[index]
        assert spliced.embeddings[index, kept, 0].tolist() == expected
        assert spliced.labels is not None
        assert spliced.labels[index, kept].tolist() == [IGNORE if value < 0 else value for value in expected]
        start = len(kept) - len(expected) if pad_left else 0
        assert kept.nonzero().flatten().tolist() == list(range(start, start + len(expected)))
    flat = spliced.embeddings.flatten(0, 1)
    assert torch.equal(flat[spliced.visual_positions], visual)


def test_placeholders_without_images_are_refused() -> None:
    ids = torch.tensor([[1, IMAGE_TOKEN, 2]])
    with pytest.raises(ValueError, match="1 image placeholders for 0 images"):
        splice(ids, torch.ones_like(ids, dtype=torch.bool), torch.zeros(1, 3, 4), torch.zeros(0, 4), ids.new_zeros(0))
