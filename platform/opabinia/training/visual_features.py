"""Where a run's feature grids come from: the shared table, or the frozen encoders themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from opabinia.data.collate import TextBatch
from opabinia.data.pictures import picture_bytes
from opabinia.models.answering import EncodedPictures, Prompt
from opabinia.training.inputs import TrainingInputs

if TYPE_CHECKING:
    from opabinia.features.table import FeatureReader


class VisualFeatures(Protocol):
    """Features per encoder, [images, tokens, width], for the pictures of a batch or of some prompts, in order."""

    def of_batch(self, batch: TextBatch) -> list[Tensor]: ...

    def of_prompts(self, prompts: Sequence[Prompt]) -> list[Tensor]: ...


@dataclass(frozen=True, slots=True)
class StoredFeatures:
    """Read from the feature table."""

    reader: FeatureReader
    encoders: tuple[str, ...]

    def of_batch(self, batch: TextBatch) -> list[Tensor]:
        return self._read(batch.image_keys) if batch.image_keys else []

    def of_prompts(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        return self._read([prompt.image_key for prompt in prompts])

    def _read(self, keys: list[str]) -> list[Tensor]:
        found = self.reader.read(keys)
        return [found[encoder] for encoder in self.encoders]


@dataclass(frozen=True, slots=True)
class FreshFeatures:
    """Encoded anew at every use, which is what a sweep without the table costs."""

    encoded: EncodedPictures

    def of_batch(self, batch: TextBatch) -> list[Tensor]:
        from PIL import Image

        pictures = [Image.open(BytesIO(picture_bytes(address))) for address in batch.images]
        return self.encoded([Prompt((), picture) for picture in pictures]) if pictures else []

    def of_prompts(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        return self.encoded(prompts)


def open_features(inputs: TrainingInputs, encoders: tuple[str, ...], *, memory_mib: int) -> VisualFeatures:
    """The table's features where there is a table."""
    if inputs.features is not None:
        from opabinia.features.table import FeatureReader

        return StoredFeatures(FeatureReader(inputs.features, encoders, memory_mib=memory_mib), encoders)
    from opabinia.encoders.loading import load_encoder

    return FreshFeatures(EncodedPictures([load_encoder(name) for name in encoders]))
