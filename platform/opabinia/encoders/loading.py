"""Load any encoder of the catalogue as one module: pixels in, a feature grid out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from opabinia.encoders.catalogue import EncoderEntry, find_encoder
from opabinia.storage.packaged import weights_location


class VisionEncoder(nn.Module):
    """A frozen encoder behind one interface."""

    def __init__(self, entry: EncoderEntry, backbone: nn.Module) -> None:
        super().__init__()
        self.entry = entry
        self.backbone = backbone.eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        """`pixels: [batch, 3, input_size, input_size]` -> features `[batch, grid * grid, width]`, row by row.

        Raises ValueError when the weights do not give the grid that the catalogue states.
        """
        features = _tapped(self.backbone, pixels, self.entry.layer)
        if features.dim() == 4:
            features = features.flatten(2).transpose(1, 2)
        features = features[:, self.entry.leading_tokens :]
        expected = (self.entry.grid**2, self.entry.width)
        if tuple(features.shape[1:]) != expected:
            raise ValueError(
                f"encoder {self.entry.id}: the weights give {tuple(features.shape[1:])} tokens and channels, "
                f"the catalogue states {expected}; correct grid and width in the catalogue"
            )
        return features


def load_encoder(name: str) -> VisionEncoder:
    """Load an encoder by its id. Raises ValueError for an unknown id or weights that are not there."""
    entry = find_encoder(name)
    return VisionEncoder(entry, _transformers_backbone(entry))


def _transformers_backbone(entry: EncoderEntry) -> nn.Module:
    from transformers import AutoModel
    from transformers.utils import logging

    # Loading reports what an encoder legitimately lacks (a pooler), on every worker; a wrong grid is refused in `forward`.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        library: Any = AutoModel
        return library.from_pretrained(weights_location(entry.weights), use_safetensors=True)
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"encoder {entry.id}: weights {entry.weights} cannot be loaded: {reason}") from error


def _tapped(backbone: Any, pixels: Tensor, layer: int) -> Tensor:
    if layer == -1:
        return backbone(pixel_values=pixels).last_hidden_state
    return backbone(pixel_values=pixels, output_hidden_states=True).hidden_states[layer]
