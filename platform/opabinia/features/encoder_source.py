"""The seam between the feature table and whatever turns pictures into features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from opabinia.features.keys import column_name

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

Encode = Callable[[Sequence["Image.Image"]], "Tensor"]
"""RGB pictures of any size -> float features [pictures, tokens, width]."""


@dataclass(frozen=True, slots=True)
class Column:
    """An encoder's column of the table: its name and the shape of one row, [tokens, width]."""

    name: str
    tokens: int
    width: int

    @property
    def values(self) -> int:
        """Numbers stored per picture."""
        return self.tokens * self.width


class EncoderSource(Protocol):
    """Where encoders come from; must be picklable, because it travels to the actors that encode."""

    def column(self, encoder_id: str) -> Column:
        """The column of an encoder, without loading the encoder. Raises ValueError for an unknown id."""
        ...

    def load(self, encoder_id: str) -> Encode:
        """The encoder itself, ready to run in this process."""
        ...


@dataclass(frozen=True, slots=True)
class CatalogueSource:
    """The encoders of `opabinia.encoders`."""

    def column(self, encoder_id: str) -> Column:
        """See EncoderSource."""
        from opabinia.encoders.catalogue import find_encoder

        entry = find_encoder(encoder_id)
        return Column(column_name(entry), entry.grid**2, entry.width)

    def load(self, encoder_id: str) -> Encode:
        """See EncoderSource."""
        import torch

        from opabinia.encoders.loading import load_encoder
        from opabinia.encoders.preprocessing import pixels_from_image

        encoder = load_encoder(encoder_id)

        def encode(images: Sequence[Image.Image]) -> Tensor:
            with torch.inference_mode():
                return encoder(torch.stack([pixels_from_image(image, encoder.entry) for image in images]))

        return encode
