"""Texts in which a token of its own already stands for every visual token, as processors of transformers write them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from connectors.padding import ImageSize
from opabinia.models.multimodal import InnerVisual, MultimodalModel, mean_question


def embed_expanded(
    model: MultimodalModel,
    input_ids: Tensor,
    image_token: int,
    attention_mask: Tensor,
    features: Sequence[Tensor],
    labels: Tensor | None = None,
    image_sizes: Sequence[ImageSize] | None = None,
) -> tuple[Tensor, InnerVisual | None]:
    """The language model's input [batch, text, width], and what its inner layers read again (None without images).

    input_ids: [batch, text], `image_token` as often as each image has visual tokens, images one after another in the order of
    `features`. Raises ValueError where the visual tokens are not as many.
    """
    text = model.embed_text(input_ids, image_token)
    is_image = (input_ids == image_token) & attention_mask
    lengths = model.visual_lengths(len(features[0]) if features else 0, image_sizes)
    rows = sample_of_image(is_image, lengths)
    if not lengths:
        return text, None
    seen = model.look(features, mean_question(text, is_image, attention_mask, labels)[rows], image_sizes)
    positions = is_image.flatten().nonzero().flatten()
    flat = text.flatten(0, 1).index_copy(0, positions, seen.layout.tokens.to(text.dtype))
    return flat.view_as(text), seen.inside(positions)


def sample_of_image(is_image: Tensor, lengths: Sequence[int]) -> Tensor:
    """To which row of `is_image: bool [batch, text]` each image belongs, given how many visual tokens each has.

    Raises ValueError where these are not as many as the text has places for.
    """
    rows = is_image.nonzero()[:, 0]
    if len(rows) != sum(lengths):
        raise ValueError(
            f"input_ids hold {len(rows)} image tokens, but the {len(lengths)} pictures give {sum(lengths)}; "
            "let the processor write them"
        )
    last = torch.tensor(lengths, dtype=torch.long, device=is_image.device).cumsum(0) - 1
    # A picture too narrow for a visual token asks nothing; it is counted to the sample of the one before.
    return rows[last.clamp(min=0)]
