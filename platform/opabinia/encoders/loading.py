"""Load any encoder of the catalogue as one module: pixels in, a feature grid out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from opabinia.encoders.backbones import clip_models, hf, own, timm_models
from opabinia.encoders.catalogue import find_encoder
from opabinia.encoders.entry import EncoderEntry, Library
from opabinia.encoders.reading import grid_from_maps


@dataclass(frozen=True, slots=True)
class Reader:
    """How one library loads a network, and reads from it a map `[batch, channels, side, side]` per layer of the entry."""

    load: Callable[[EncoderEntry], nn.Module]
    maps: Callable[[nn.Module, Tensor, EncoderEntry], list[Tensor]]


READERS: dict[Library, Reader] = {
    "transformers": Reader(hf.load, hf.maps),
    "timm": Reader(timm_models.load, timm_models.maps),
    "open_clip": Reader(clip_models.load, clip_models.maps),
    "python": Reader(own.load, own.maps),
}


class VisionEncoder(nn.Module):
    """A frozen encoder behind one interface."""

    def __init__(self, entry: EncoderEntry, backbone: nn.Module) -> None:
        super().__init__()
        self.entry = entry
        self.backbone = backbone.eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next((parameter.dtype for parameter in self.parameters()), torch.float32)

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        """`pixels: [batch, 3, input_size, input_size]` -> features `[batch, grid * grid, width]`, row by row, in the weights' type.

        Raises ValueError when the weights do not give the grid that the catalogue states.
        """
        maps = READERS[self.entry.library].maps(self.backbone, pixels.to(self.dtype), self.entry)
        return grid_from_maps(maps, self.entry)


def load_encoder(name: str) -> VisionEncoder:
    """Load an encoder by its id. Raises ValueError for an unknown id or weights that cannot be loaded."""
    entry = find_encoder(name)
    try:
        backbone = READERS[entry.library].load(entry)
    # Each library has errors of its own for a hub that is out of reach, a file that is missing and keys that do not fit.
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"encoder {entry.id}: weights {entry.weights} cannot be loaded: {reason}") from error
    return VisionEncoder(entry, backbone)
