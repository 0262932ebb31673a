"""What a decoder of transformers is given so that it keeps samples apart and asks the device for nothing.

Left to itself, transformers looks in each forward pass whether positions begin again, and waits for the answer. It does not look
where there is a cache, and takes masks that are ready.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

_ATTENTION = ("full_attention", "sliding_attention", "chunked_attention")


class Forgetful:
    """A cache that keeps nothing: keys and values are those of this forward pass, in which everything begins."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        return key_states, value_states

    def get_seq_length(self, *_: Any) -> int:
        return 0

    def get_query_offset(self, *_: Any) -> int:
        return 0

    def get_mask_sizes(self, query_length: int, *_: Any) -> tuple[int, int]:
        """How many keys there are, and at which position the first of them stands."""
        return query_length, 0


def apart(language_model: nn.Module, embeddings: Tensor, samples: Tensor | None) -> dict[str, Any]:
    """Arguments of `language_model`, or of its decoder, for `embeddings: [rows, length, width]` in training and scoring.

    samples: [rows, length], numbers of which only the same see each other; None where causality is enough, as it is for a sample with
    padding on its right: then layers that see everything get no mask, and may be computed by kernels that take none.
    Raises ValueError where layers pass on what they saw in other ways than attention.
    """
    masks = None if samples is None else _masks(language_model, embeddings, samples)
    return {"attention_mask": masks, "past_key_values": Forgetful(), "use_cache": False}


def _masks(language_model: nn.Module, embeddings: Tensor, samples: Tensor) -> Any:
    """One [rows, 1, length, length], or one for each kind of layers where a family has several."""
    from transformers import masking_utils

    library: Any = masking_utils
    config: Any = language_model.config
    # Which families have windows, and on which layers, is for transformers to say.
    masks: Any = library.create_masks_for_generate(config, embeddings, None, Forgetful())
    same = (samples.unsqueeze(1) == samples.unsqueeze(2)).unsqueeze(1)
    if not isinstance(masks, dict):
        return _within(masks, same)
    by_kind = cast("dict[str, Tensor | None]", masks)
    for kind in by_kind:
        if kind not in _ATTENTION:
            raise ValueError(
                f"language_model: {config.model_type} has layers of {kind}, which mix samples of one row; turn packing off"
            )
    return {kind: _within(mask, same) for kind, mask in by_kind.items()}


def _within(mask: Tensor | None, same: Tensor) -> Tensor:
    """`mask`: none for causality alone, bool, or as `eager` attention adds it to scores; `same`: bool [rows, 1, length, length]."""
    if mask is None:
        return same.tril()
    if mask.dtype == torch.bool:
        return mask & same
    return mask.masked_fill(~same, torch.finfo(mask.dtype).min)
