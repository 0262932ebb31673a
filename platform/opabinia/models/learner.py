"""What a training step calls: encoders, model and loss as one module, which hardware can copy, shard and compile as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from opabinia.models.activation_checkpointing import repeated_blocks
from opabinia.models.head import head_of
from opabinia.models.loss import chunked_next_token_loss
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.places import Places

if TYPE_CHECKING:
    from opabinia.encoders.loading import VisionEncoder

LOSS_POSITIONS = 1024
"""Positions whose logits exist at once: half a gigabyte in float32 for a vocabulary of 128 000."""


class Learner(nn.Module):
    """All that a run trains: a model, those of its encoders that are run in the step (of the others come features), and the models
    of one encoder each that pre-alignment has in the model's place.
    """

    def __init__(
        self,
        model: MultimodalModel,
        encoders: Mapping[str, VisionEncoder] | None = None,
        alone: Mapping[int, MultimodalModel] | None = None,
    ) -> None:
        """encoders: by catalogue id. alone: by the stage that they are for. The language model should have passed `check_head`."""
        super().__init__()
        self.model = model
        self.encoders = nn.ModuleDict(dict(encoders or {}))
        self.alone = nn.ModuleDict({str(stage): one for stage, one in (alone or {}).items()})
        self._stage = ""

    @property
    def encoders_by_id(self) -> dict[str, VisionEncoder]:
        """All encoders that are run in a step of some stage."""
        encoders: Any = self.encoders
        return dict(encoders.items())

    @property
    def blocks(self) -> list[nn.Module]:
        """The layers that make up most of it, in the order in which they are called."""
        llm: Any = self.model.language_model
        of_encoders = [block for encoder in self.encoders_by_id.values() for block in repeated_blocks(encoder)]
        return [*of_encoders, *llm.get_decoder().layers]

    @property
    def active(self) -> MultimodalModel:
        """The model of the stage that was entered last."""
        alone: Any = self.alone
        return dict(alone.items()).get(self._stage, self.model)

    @property
    def active_encoders(self) -> dict[str, VisionEncoder]:
        """Those of the encoders that the active model sees."""
        return {name: one for name, one in self.encoders_by_id.items() if name in self.active.config.encoders}

    def enter(self, stage: int) -> None:
        """From now on train what that stage trains."""
        self._stage = str(stage)

    def compile_blocks(self) -> None:
        """Let torch compile each block where it is first called; parameters keep their names. Call before sharding."""
        for block in self.blocks:
            block.compile()

    def forward(self, places: Places, visual: Sequence[Tensor]) -> Tensor:
        """The sum of the losses of all supervised tokens, float32, a scalar; the device is not waited for.

        visual: per encoder of the active model what shows the batch's pictures, in the order of their slots: features
        [slots, tokens, width], or pixels [slots, 3, side, side] where the encoder is here; empty for text alone.
        """
        model = self.active
        features = [self._seen(name, shown) for name, shown in zip(model.config.encoders, visual, strict=False)]
        untouched = [] if features else list(self._untouched())
        hidden = model.hidden(places, features)
        head = head_of(model.language_model)
        total, _ = chunked_next_token_loss(hidden, head, places.labels, chunk=LOSS_POSITIONS, at_most=places.at_most)
        return total + sum(untouched)

    def _seen(self, name: str, shown: Tensor) -> Tensor:
        return self.encoders[name](shown) if name in self.encoders else shown

    def _untouched(self) -> Iterator[Tensor]:
        """Zeros that hang on what text alone does not reach: every worker gives every part a gradient, and gathers the shards of
        all in the same order.
        """
        model = self.active
        for encoder in self.active_encoders.values():
            yield 0.0 * encoder(blank_pixels(encoder).unsqueeze(0).to(encoder.device)).sum()
        parts = [model.connector, nn.ParameterList(filter(None, [model.row_separator]))]
        yield from (0.0 * one.sum() for part in parts for one in part.parameters() if one.requires_grad)


def blank_pixels(encoder: VisionEncoder) -> Tensor:
    """What the encoder is shown where there is no picture: [3, side, side], on the host."""
    size = encoder.entry.input_size
    return torch.zeros(3, size, size)
