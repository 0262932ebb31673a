"""Put visual tokens where the text says an image goes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.models.samples import positions_in_samples


@dataclass(frozen=True, slots=True)
class Spliced:
    """Rows of text and visual tokens, one sample each or several.

    embeddings: [batch, length, width]; attention_mask: [batch, length] bool; labels: [batch, length] or None.
    visual_positions: [visual tokens], index of each in the flattened [batch * length].
    position_ids: [batch, length], place of each token in its sample, or None where every row is one sample.
    """

    embeddings: Tensor
    attention_mask: Tensor
    labels: Tensor | None
    visual_positions: Tensor
    position_ids: Tensor | None = None


def splice(
    input_ids: Tensor,
    attention_mask: Tensor,
    text_embeddings: Tensor,
    visual_tokens: Tensor,
    visual_lengths: Tensor,
    labels: Tensor | None = None,
    *,
    pad_left: bool = False,
    samples: Tensor | None = None,
) -> Spliced:
    """Replace each IMAGE_TOKEN of `input_ids: [batch, text]` by one image's visual tokens, in order.

    visual_tokens: [visual tokens, width], those of all images one after another; visual_lengths: [images], how many are whose.
    samples: [batch, text], the number of each token's sample, where rows hold several; what a sample begins with is then no
    label, for nothing before it may predict it.
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
    lay = partial(_lay, (len(input_ids), length), starts[is_text], visual_at)
    text = text_embeddings[is_text]
    embeddings = lay(text, visual_tokens.to(text.dtype), 0)
    mask = lay(attention_mask[is_text], attention_mask.new_ones(len(visual_at)), False)
    if labels is not None:
        labels = lay(labels[is_text], labels.new_full((len(visual_at),), IGNORE), IGNORE)
    if samples is None:
        return Spliced(embeddings, mask, labels, visual_at)
    position_ids = positions_in_samples(lay(samples[is_text], samples[is_image].repeat_interleave(visual_lengths), 0))
    if labels is not None:
        labels = labels.masked_fill(position_ids == 0, IGNORE)
    return Spliced(embeddings, mask, labels, visual_at, position_ids)


def _lay(
    shape: tuple[int, int], text_at: Tensor, visual_at: Tensor, text: Tensor, visual: Tensor, elsewhere: int
) -> Tensor:
    """[batch, length, ...] with `text` and `visual` at their places in the flattened rows."""
    rows = text.new_full((shape[0] * shape[1], *text.shape[1:]), elsewhere)
    return rows.index_copy(0, text_at, text).index_copy(0, visual_at, visual).view(*shape, *text.shape[1:])
