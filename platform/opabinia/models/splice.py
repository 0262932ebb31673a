"""Put visual tokens where the text says an image goes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from opabinia.data.prompts import IGNORE, IMAGE_TOKEN


@dataclass(frozen=True, slots=True)
class Spliced:
    """One sequence per sample, text and visual tokens.

    embeddings: [batch, length, width]; attention_mask: [batch, length] bool; labels: [batch, length] or None.
    visual_positions: [visual tokens], index of each in the flattened [batch * length].
    """

    embeddings: Tensor
    attention_mask: Tensor
    labels: Tensor | None
    visual_positions: Tensor


def splice(
    input_ids: Tensor,
    attention_mask: Tensor,
    text_embeddings: Tensor,
    visual_tokens: Tensor,
    visual_lengths: Tensor,
    labels: Tensor | None = None,
    *,
    pad_left: bool = False,
) -> Spliced:
    """Replace each IMAGE_TOKEN of `input_ids: [batch, text]` by one image's visual tokens, in order.

    visual_tokens: [visual tokens, width], those of all images one after another; visual_lengths: [images], how many are whose.
    `pad_left` puts the padding in front, as generation needs. Raises ValueError when placeholders and images differ in number.
    """
    is_image = (input_ids == IMAGE_TOKEN) & attention_mask
    if int(is_image.sum()) != len(visual_lengths):
        raise ValueError(
            f"input_ids hold {int(is_image.sum())} image placeholders for {len(visual_lengths)} images; give one each"
        )
    spans = attention_mask.long().masked_scatter(is_image, visual_lengths)
    lengths = spans.sum(1)
    length = int(lengths.max())
    # Position in the flattened [batch * length] at which each token of the text begins.
    starts = spans.cumsum(1) - spans + torch.arange(len(input_ids), device=input_ids.device)[:, None] * length
    if pad_left:
        starts = starts + (length - lengths)[:, None]
    is_text = attention_mask & ~is_image
    # Token by token: where its image begins, less how many visual tokens came before that image, plus its own number.
    begins = starts[is_image] - (visual_lengths.cumsum(0) - visual_lengths)
    visual_at = begins.repeat_interleave(visual_lengths) + torch.arange(len(visual_tokens), device=input_ids.device)
    return _fill(
        input_ids.shape[0], length, starts[is_text], visual_at, text_embeddings[is_text], visual_tokens, labels, is_text
    )


def _fill(
    batch: int,
    length: int,
    text_at: Tensor,
    visual_at: Tensor,
    text: Tensor,
    visual: Tensor,
    labels: Tensor | None,
    is_text: Tensor,
) -> Spliced:
    width = text.shape[-1]
    embeddings = text.new_zeros(batch * length, width)
    embeddings = embeddings.index_copy(0, text_at, text)
    embeddings = embeddings.index_copy(0, visual_at, visual.to(text.dtype))
    mask = torch.zeros(batch * length, dtype=torch.bool, device=text.device)
    mask[text_at] = True
    mask[visual_at] = True
    spliced_labels = None
    if labels is not None:
        spliced_labels = torch.full((batch * length,), IGNORE, dtype=torch.long, device=text.device)
        spliced_labels[text_at] = labels[is_text]
        spliced_labels = spliced_labels.view(batch, length)
    return Spliced(embeddings.view(batch, length, width), mask.view(batch, length), spliced_labels, visual_at)
