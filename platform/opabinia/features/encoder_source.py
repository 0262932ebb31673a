"""The seam between the feature table and whatever turns pictures into features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from opabinia.features.keys import column_name
from opabinia.features.precision import Precision, picture_bytes

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from opabinia.encoders.pixels import Decoding

Encode = Callable[[Sequence["Image.Image"]], "Tensor"]
"""RGB pictures of any size -> float features [pictures, tokens, width]."""


@dataclass(frozen=True, slots=True)
class Column:
    """An encoder's column of the table: its name, the shape of one row, [tokens, width], and in which type that is stored."""

    name: str
    tokens: int
    width: int
    precision: Precision = "float16"

    @property
    def values(self) -> int:
        """Numbers stored per picture."""
        return self.tokens * self.width

    @property
    def bytes(self) -> int:
        """Bytes stored per picture."""
        return picture_bytes(self.tokens, self.width, self.precision)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the Lance table that it consists of; int8 has its scales beside it."""
        return (self.name, f"{self.name}:scales") if self.precision == "int8" else (self.name,)


class EncoderSource(Protocol):
    """Where encoders come from; must be picklable, because it travels to the actors that encode."""

    @property
    def decoding(self) -> Decoding:
        """How pictures' files are decoded for them."""
        ...

    def column(self, encoder_id: str) -> Column:
        """The column of an encoder, without loading the encoder. Raises ValueError for an unknown id."""
        ...

    def load(self, encoder_id: str) -> Encode:
        """The encoder itself, ready to run in this process."""
        ...


@dataclass(frozen=True, slots=True)
class CatalogueSource:
    """The encoders of `opabinia.encoders`, run on `device`; `threads` fit pictures to an encoder's input side by side."""

    device: str = "cpu"
    threads: int = 1
    decoding: Decoding = "full"

    def column(self, encoder_id: str) -> Column:
        """See EncoderSource."""
        from opabinia.encoders.catalogue import find_encoder

        entry = find_encoder(encoder_id)
        return Column(column_name(entry, self.decoding), entry.grid**2, entry.width)

    def load(self, encoder_id: str) -> Encode:
        """See EncoderSource."""
        from concurrent.futures import ThreadPoolExecutor

        import torch

        from opabinia.encoders.fitting import fitting_of
        from opabinia.encoders.loading import load_encoder
        from opabinia.encoders.pixels import squares_of
        from opabinia.encoders.preprocessing import normalised

        encoder = load_encoder(encoder_id).to(self.device)
        fitting = fitting_of(encoder.entry)

        # As the stream does for training without the table, so that both give the same losses.
        def square(image: Image.Image) -> Tensor:
            return torch.from_numpy(squares_of(image, [fitting])[0])

        def encode(images: Sequence[Image.Image]) -> Tensor:
            with ThreadPoolExecutor(self.threads) as pool, torch.inference_mode():
                squares = torch.stack(list(pool.map(square, images)))
                return encoder(normalised(squares.to(self.device), encoder.entry))

        return encode
