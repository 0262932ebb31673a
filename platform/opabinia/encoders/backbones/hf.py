"""Networks of transformers."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from opabinia.encoders.entry import EncoderEntry
from opabinia.encoders.reading import map_from_tokens
from opabinia.storage.packaged import PREFIX, weights_location


def load(entry: EncoderEntry) -> nn.Module:
    """Raises ValueError when the repository holds weights of another network."""
    return part_of(pretrained(entry.weights, entry.model or "AutoModel", entry.part), entry)


def pretrained(weights: str, model: str, part: str) -> nn.Module:
    """The whole model of the class `model`. Raises ValueError when weights of the `part` that is needed are missing."""
    import transformers
    from transformers.utils import logging

    # Loading reports what an encoder legitimately lacks (a pooler), on every worker; anything else is refused here.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    library: Any = getattr(transformers, model)
    # Where a repository has no safetensors, transformers reads its other file with weights_only.
    safetensors = True if weights.startswith(PREFIX) else None
    loaded, report = library.from_pretrained(
        weights_location(weights), use_safetensors=safetensors, output_loading_info=True
    )
    # transformers fills what it does not find with random numbers.
    missing = [name for name in sorted(report["missing_keys"]) if name.startswith(part) and "pooler." not in name]
    if missing:
        raise ValueError(f"{len(missing)} parameters are not in it, among them {missing[0]}; correct model or part")
    return loaded


def part_of(model: nn.Module, entry: EncoderEntry) -> nn.Module:
    """The submodule that is the encoder."""
    return attrgetter(entry.part)(model) if entry.part else model


def maps(network: nn.Module, pixels: Tensor, entry: EncoderEntry) -> list[Tensor]:
    """`[batch, channels, side, side]` per layer. Raises ValueError for a final norm on another than the last layer."""
    inputs = _INPUTS[entry.model](pixels, entry) if entry.model in _INPUTS else {"pixel_values": pixels}
    return [
        output if output.dim() == 4 else map_from_tokens(output, entry.leading_tokens, entry.id)
        for output in _outputs(network, inputs, entry)
    ]


def _outputs(network: Any, inputs: dict[str, Tensor], entry: EncoderEntry) -> list[Tensor]:
    if entry.post_norm and entry.layers != (-1,):
        raise ValueError(
            f"encoder {entry.id}: post_norm with layer {entry.layer}; transformers normalises layer -1 only, so state "
            "post_norm=False"
        )
    if entry.post_norm:
        return [network(**inputs).last_hidden_state]
    hidden = network(**inputs, output_hidden_states=True).hidden_states
    # The first of the hidden states is what enters block 0.
    return [hidden[layer if layer < 0 else layer + 1] for layer in entry.layers]


def _flattened_patches(pixels: Tensor, entry: EncoderEntry) -> dict[str, Tensor]:
    """Pix2Struct's input: per patch its row and column, from 1, and its pixels with the channel running fastest.

    `[batch, 3, input_size, input_size]` -> `[batch, patches, 2 + 3 * patch * patch]`.
    """
    side, patch = entry.native_grid, entry.patch
    columns = functional.unfold(pixels, patch, stride=patch)
    values = columns.reshape(len(pixels), 3, patch * patch, side * side).permute(0, 3, 2, 1).flatten(2)
    cells = torch.arange(side * side, device=pixels.device)
    places = torch.stack([cells // side + 1, cells % side + 1], dim=1).to(pixels.dtype)
    flattened = torch.cat([places.expand(len(pixels), -1, -1), values], dim=2)
    return {"flattened_patches": flattened, "attention_mask": torch.ones_like(flattened[:, :, 0])}


_INPUTS: dict[str, Callable[[Tensor, EncoderEntry], dict[str, Tensor]]] = {
    "Pix2StructForConditionalGeneration": _flattened_patches
}
