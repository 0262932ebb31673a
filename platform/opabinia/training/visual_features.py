"""Where a run's feature grids come from: the shared table, or the frozen encoders themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from opabinia.data.streaming.reading import MoreColumns
from opabinia.data.streaming.stream import Part
from opabinia.encoders.fitting import fitting_of, fittings_of
from opabinia.encoders.pixel_columns import pixel_tensor, with_pixels
from opabinia.encoders.pixels import Decoding
from opabinia.encoders.preprocessing import normalised
from opabinia.models.answering import EncodedPictures, Prompt
from opabinia.training.inputs import TrainingInputs

if TYPE_CHECKING:
    from opabinia.encoders.loading import VisionEncoder
    from opabinia.features.table import FeatureReader


class VisualFeatures(Protocol):
    """Features per encoder, [images, tokens, width], for the pictures of a batch or of some prompts, in order.

    more: what the stream must add to its rows for them.
    """

    @property
    def more(self) -> MoreColumns | None: ...

    def of_batch(self, part: Part) -> list[Tensor]: ...

    def of_prompts(self, prompts: Sequence[Prompt]) -> list[Tensor]: ...


@dataclass(frozen=True, slots=True)
class StoredFeatures:
    """Read from the feature table."""

    reader: FeatureReader
    encoders: tuple[str, ...]

    @property
    def more(self) -> None:
        return None

    def of_batch(self, part: Part) -> list[Tensor]:
        keys = part.batch.image_keys
        return self._read(keys) if keys else []

    def of_prompts(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        return self._read([prompt.image_key for prompt in prompts])

    def _read(self, keys: list[str]) -> list[Tensor]:
        found = self.reader.read(keys)
        return [found[encoder] for encoder in self.encoders]


@dataclass(frozen=True, slots=True)
class FreshFeatures:
    """Encoded anew at every use, which is what a sweep without the table costs."""

    encoded: EncodedPictures
    decoding: Decoding

    @property
    def more(self) -> MoreColumns:
        fittings = fittings_of(encoder.entry for encoder in self.encoded.encoders)
        return partial(with_pixels, fittings=fittings, decoding=self.decoding)

    def of_batch(self, part: Part) -> list[Tensor]:
        return [self._encoded(encoder, part) for encoder in self.encoded.encoders] if part.batch.images else []

    def _encoded(self, encoder: VisionEncoder, part: Part) -> Tensor:
        fitting = fitting_of(encoder.entry)
        pixels = pixel_tensor(part.table[fitting.name], fitting)
        return encoder(normalised(pixels.to(encoder.device, non_blocking=True), encoder.entry))

    def of_prompts(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        return self.encoded(prompts)


def open_features(
    inputs: TrainingInputs, encoders: tuple[str, ...], *, memory_mib: int, decoding: Decoding
) -> VisualFeatures:
    """The table's features where there is a table."""
    if inputs.features is not None:
        from opabinia.features.encoder_source import CatalogueSource
        from opabinia.features.table import FeatureReader

        source = CatalogueSource(decoding=decoding)
        return StoredFeatures(FeatureReader(inputs.features, encoders, memory_mib=memory_mib, source=source), encoders)
    from opabinia.encoders.loading import load_encoder

    return FreshFeatures(EncodedPictures([load_encoder(name) for name in encoders]), decoding)
