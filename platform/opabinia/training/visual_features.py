"""What shows a run its pictures: features from the shared table or of frozen encoders, and pixels for encoders that learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    import torch

    from opabinia.encoders.loading import VisionEncoder
    from opabinia.features.table import FeatureReader


class VisualFeatures(Protocol):
    """One tensor per encoder for the pictures of a batch or of some prompts, in order.

    of_batch: features [images, tokens, width], or normalised pixels [images, 3, side, side] of an encoder that learns, which
    the learner runs itself; nothing where there are no pictures. of_prompts: features of all, with the weights of the moment.
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
    """Encoded anew at every use, which is what a sweep without the table costs, and what encoders that learn need.

    learning: ids of those that the learner runs. device: where pixels are normalised and frozen encoders are.
    """

    encoded: EncodedPictures
    decoding: Decoding
    learning: frozenset[str] = frozenset()
    device: torch.device | str = "cpu"

    @property
    def encoders(self) -> tuple[str, ...]:
        return tuple(encoder.entry.id for encoder in self.encoded.encoders)

    @property
    def more(self) -> MoreColumns:
        fittings = fittings_of(encoder.entry for encoder in self.encoded.encoders)
        return partial(with_pixels, fittings=fittings, decoding=self.decoding)

    def of_batch(self, part: Part) -> list[Tensor]:
        return [self._shown(encoder, part) for encoder in self.encoded.encoders] if part.batch.images else []

    def of_prompts(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        return self.encoded(prompts)

    def _shown(self, encoder: VisionEncoder, part: Part) -> Tensor:
        fitting = fitting_of(encoder.entry)
        squares = pixel_tensor(part.table[fitting.name], fitting)
        pixels = normalised(squares.to(self.device, non_blocking=True), encoder.entry)
        return pixels if encoder.entry.id in self.learning else encoder(pixels)


@dataclass(frozen=True, slots=True)
class RunFeatures:
    """Of all encoders of a run's model, each from where it is to be had: the table for those in `stored`, `fresh` for the others.

    asked: what encodes the pictures of prompts, all of them, where these are not in the table.
    """

    encoders: tuple[str, ...]
    stored: StoredFeatures | None
    fresh: FreshFeatures | None
    asked: FreshFeatures | None = None

    @property
    def more(self) -> MoreColumns | None:
        return None if self.fresh is None else self.fresh.more

    @property
    def frozen_bytes(self) -> int:
        """What the weights of the encoders take that this worker runs and nothing trains."""
        sources = [one for one in (self.fresh, self.asked) if one is not None]
        frozen = {id(e): e for one in sources for e in one.encoded.encoders if e.entry.id not in one.learning}
        return sum(weight.nbytes for encoder in frozen.values() for weight in encoder.parameters())

    def of_batch(self, part: Part) -> list[Tensor]:
        return self._in_order([one.of_batch(part) for one in self._sources()]) if part.batch.images else []

    def of_prompts(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        if self.asked is not None:
            return self.asked.of_prompts(prompts)
        return self._in_order([one.of_prompts(prompts) for one in self._sources()])

    def only(self, encoders: Sequence[str]) -> RunFeatures:
        """Of some of the encoders, in the order that a stage's model takes them in; no picture is decoded for the others."""
        stored, fresh = self.stored, self.fresh
        if stored is not None:
            kept = tuple(name for name in stored.encoders if name in encoders)
            stored = replace(stored, encoders=kept) if kept else None
        if fresh is not None:
            chosen = [encoder for encoder in fresh.encoded.encoders if encoder.entry.id in encoders]
            fresh = replace(fresh, encoded=EncodedPictures(chosen)) if chosen else None
        return RunFeatures(tuple(encoders), stored, fresh)

    def through(self, encoders: Mapping[str, VisionEncoder]) -> RunFeatures:
        """With other modules, by id, in place of encoders that learn: copies that a single worker can call."""
        return replace(self, fresh=_through(self.fresh, encoders), asked=_through(self.asked, encoders))

    def _sources(self) -> list[StoredFeatures | FreshFeatures]:
        return [one for one in (self.stored, self.fresh) if one is not None]

    def _in_order(self, given: Sequence[Sequence[Tensor]]) -> list[Tensor]:
        named = {
            name: tensor
            for source, tensors in zip(self._sources(), given, strict=True)
            for name, tensor in zip(source.encoders, tensors, strict=True)
        }
        return [named[name] for name in self.encoders]


def open_features(
    inputs: TrainingInputs,
    encoders: tuple[str, ...],
    *,
    memory_mib: int,
    decoding: Decoding,
    learning: Mapping[str, VisionEncoder] | None = None,
    device: torch.device | str = "cpu",
    prompts_stored: bool = True,
) -> RunFeatures:
    """Of a run's encoders, in the order in which its model takes them; the table's where there is a table.

    learning: by id, those that learn in any stage, as the very modules that the learner runs. device: where frozen encoders encode.
    prompts_stored: whether the table has the pictures of prompts too.
    """
    learning = learning or {}
    frozen = [name for name in encoders if name not in learning]
    stored = tuple(frozen) if inputs.features is not None else ()
    return RunFeatures(
        encoders,
        _stored(inputs, stored, memory_mib, decoding) if stored else None,
        _fresh([name for name in encoders if name not in stored], decoding, learning, device),
        None if prompts_stored or not stored else _fresh(encoders, decoding, learning, device),
    )


def _through(source: FreshFeatures | None, encoders: Mapping[str, VisionEncoder]) -> FreshFeatures | None:
    if source is None:
        return None
    chosen = [encoders.get(encoder.entry.id, encoder) for encoder in source.encoded.encoders]
    return replace(source, encoded=EncodedPictures(chosen))


def _stored(inputs: TrainingInputs, encoders: tuple[str, ...], memory_mib: int, decoding: Decoding) -> StoredFeatures:
    from opabinia.features.encoder_source import CatalogueSource
    from opabinia.features.table import FeatureReader

    assert inputs.features is not None
    source = CatalogueSource(decoding=decoding)
    return StoredFeatures(FeatureReader(inputs.features, encoders, memory_mib=memory_mib, source=source), encoders)


def _fresh(
    names: Sequence[str], decoding: Decoding, learning: Mapping[str, VisionEncoder], device: torch.device | str
) -> FreshFeatures | None:
    from opabinia.encoders.loading import load_encoder

    if not names:
        return None
    encoders = [learning[name] if name in learning else load_encoder(name).to(device) for name in names]
    return FreshFeatures(EncodedPictures(encoders), decoding, frozenset(learning), device)
