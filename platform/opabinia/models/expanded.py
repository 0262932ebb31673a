"""Texts in which a token of its own already stands for every visual token, as processors of transformers write them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from connectors.padding import ImageSize
from opabinia.models.multimodal import InnerVisual, MultimodalModel, on_host
from opabinia.models.places import Pictures, place_expanded


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
    batch = on_host(input_ids, attention_mask, labels, None)
    is_visual = (batch.input_ids == image_token) & batch.attention_mask
    orders = model.layout.orders(len(features[0]) if features else 0, image_sizes)
    rows = sample_of_image(is_visual, [len(order) for order in orders])
    pictures = Pictures(rows, torch.ones_like(rows), orders)
    places = place_expanded(
        batch.input_ids, is_visual, batch.labels, batch.attention_mask.long(), pictures, model.layout, sizes=image_sizes
    )
    return model.embed(places.to(input_ids.device), features)


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
