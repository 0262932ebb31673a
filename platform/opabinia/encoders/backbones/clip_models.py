"""Image towers of open_clip."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from opabinia.encoders.entry import EncoderEntry


def build(entry: EncoderEntry, checkpoint: str | None = None) -> nn.Module:
    """The image tower, with the weights of a checkpoint file or, without one, random ones."""
    import open_clip  # pyright: ignore[reportMissingTypeStubs]
    import torch

    library: Any = open_clip
    # Left to itself, open_clip moves the model to the CPU from wherever torch was told to build it.
    device = torch.get_default_device()
    model = library.create_model(
        entry.model, pretrained=checkpoint, device=device, weights_only=True, pretrained_text=False
    )
    return model.visual


def load(entry: EncoderEntry) -> nn.Module:
    from open_clip import pretrained  # pyright: ignore[reportMissingTypeStubs]

    library: Any = pretrained
    return build(entry, library.download_pretrained_from_hf(entry.weights))


def maps(network: nn.Module, pixels: Tensor, entry: EncoderEntry) -> list[Tensor]:
    """`[batch, channels, side, side]` per layer; open_clip drops the class token itself."""
    tower: Any = network
    outputs = tower.forward_intermediates(
        pixels,
        indices=list(entry.layers),
        normalize_intermediates=entry.post_norm,
        stop_early=True,
        intermediates_only=True,
    )
    return outputs["image_intermediates"]
