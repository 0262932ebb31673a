"""Load any encoder of the catalogue as one module: pixels in, a feature grid out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor, nn

from opabinia.encoders.backbones import clip_models, hf, own, timm_models
from opabinia.encoders.catalogue import find_encoder
from opabinia.encoders.entry import EncoderEntry, Library
from opabinia.encoders.graph import names_behind, only_the_graph
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
    """An encoder behind one interface, frozen unless some of its parameters are made to learn.

    While it learns it still computes as in evaluation: nothing is dropped at random and no statistics of batches are gathered, so
    that the features that are trained on are those that are scored. The published recipe does the same where it would matter: EVA-02
    was pretrained with stochastic depth, and Eagle builds it without (Shi et al. 2024, released code).
    """

    def __init__(self, entry: EncoderEntry, backbone: nn.Module) -> None:
        super().__init__()
        self.entry = entry
        self.backbone = backbone.requires_grad_(False)
        self.eval()

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next((parameter.dtype for parameter in self.parameters()), torch.float32)

    @property
    def learns(self) -> bool:
        """Whether any of its parameters does."""
        return any(parameter.requires_grad for parameter in self.parameters())

    @cached_property
    def learnable(self) -> frozenset[str]:
        """Names of the parameters that the features depend on: of no pooler and no block behind the last one that is read.

        Found once, by encoding a blank picture; best asked for before the encoder is sharded or computes activations twice.
        """
        return self._names_behind_features()

    def train(self, mode: bool = True) -> Self:
        """Whatever `mode` is, the encoder stays as it is in evaluation."""
        return super().train(False)

    def forward(self, pixels: Tensor) -> Tensor:
        """`pixels: [batch, 3, input_size, input_size]` -> features `[batch, grid * grid, width]`, row by row, in the weights' type.

        Gradients flow where a parameter learns. Raises ValueError when the weights do not give the grid that the catalogue states.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.learns):
            maps = READERS[self.entry.library].maps(self.backbone, pixels.to(self.dtype), self.entry)
            return grid_from_maps(maps, self.entry)

    def _names_behind_features(self) -> frozenset[str]:
        learning = [parameter for parameter in self.parameters() if parameter.requires_grad]
        side = self.entry.input_size
        try:
            self.requires_grad_(True)
            with only_the_graph():
                features = self(torch.zeros(1, 3, side, side, device=self.device))
            return names_behind(features, self)
        finally:
            self.requires_grad_(False)
            for parameter in learning:
                parameter.requires_grad_()


def load_encoder(name: str) -> VisionEncoder:
    """Load an encoder by its id, frozen. Raises ValueError for an unknown id or weights that cannot be loaded."""
    entry = find_encoder(name)
    try:
        backbone = READERS[entry.library].load(entry)
    # Each library has errors of its own for a hub that is out of reach, a file that is missing and keys that do not fit.
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"encoder {entry.id}: weights {entry.weights} cannot be loaded: {reason}") from error
    return VisionEncoder(entry, backbone)


def load_learning_encoder(name: str) -> VisionEncoder:
    """The same, ready to learn: in float32, as small updates need. Raises ValueError also where it has nothing to learn."""
    encoder = load_encoder(name).float()
    if next(encoder.parameters(), None) is None or not encoder.learnable:
        raise ValueError(
            f"encoder {name}: its features depend on no weights, so that it cannot learn; take it out of trains"
        )
    return encoder
