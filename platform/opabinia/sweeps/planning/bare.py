"""A run put together without weights, as its workers will put it together: what does not fit fails here, in a moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn

from opabinia.data.streaming.batching import PackedBatches
from opabinia.encoders.catalogue import find_encoder
from opabinia.models.head import check_head
from opabinia.models.lora import add_adapters
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.samples import check_packing
from opabinia.sweeps.planning.language_models import bare_language_model, narrow_language_model
from opabinia.training.optimisation.optimiser import set_learning
from opabinia.training.prealignment import models_alone
from opabinia.training.recipe.learning_encoders import learning_encoders
from opabinia.training.recipe.stages import StageConfig
from opabinia.training.run import RunConfig


@dataclass(frozen=True, slots=True)
class BareStage:
    """A stage as it begins: what does not learn is frozen.

    model: what the stage trains, on the meta device. encoders: those that it sees and that learn in some stage, by id; in the place
    of each stands one parameter of its size.
    """

    stage: StageConfig
    model: MultimodalModel
    encoders: Mapping[str, nn.Module]

    @property
    def trained(self) -> int:
        """How many numbers learn."""
        return sum(self.learning().values())

    def learning(self) -> dict[int, int]:
        """The identity of each parameter that learns -> its numbers; stages of one run share parameters."""
        modules = [self.model, *self.encoders.values()]
        return {id(p): p.numel() for module in modules for p in module.parameters() if p.requires_grad}


def bare_stages(run: RunConfig) -> Iterator[BareStage]:
    """The stages of the run, each to be looked at before the next is asked for, since all share one language model.

    Raises ValueError, as the run itself would, where its parts do not fit.
    """
    model = _model(run)
    alone = models_alone(model, run.stages, run.seed)
    encoders = {name: _stand_in(name) for name in learning_encoders(run.stages, run.model.encoders)}
    for place, stage in enumerate(run.stages):
        active = alone.get(place, model)
        seen = {name: one for name, one in encoders.items() if name in active.config.encoders}
        for one in encoders.values():
            one.requires_grad_(False)
        try:
            set_learning(active, stage, seen)
        except ValueError as error:
            raise ValueError(f"stages.{place}.{error}") from None
        yield BareStage(stage, active, seen)


def _model(run: RunConfig) -> MultimodalModel:
    language_model = bare_language_model(run.model.language_model)
    _check_language_model(run.model.language_model, any(isinstance(s.batching, PackedBatches) for s in run.stages))
    if run.model.lora is not None:
        add_adapters(language_model, run.model.lora)
    with torch.device("meta"):
        return MultimodalModel(run.model, language_model)


@lru_cache(maxsize=8)
def _check_language_model(name: str, packs: bool) -> None:
    narrow = narrow_language_model(name)
    if narrow is None:
        return
    check_head(narrow)
    if packs:
        check_packing(narrow)


def _stand_in(encoder: str) -> nn.Module:
    """The catalogue counts the parameters that an encoder's features depend on, which are those that can learn."""
    return nn.ParameterList([nn.Parameter(torch.empty(find_encoder(encoder).parameters, device="meta"))])
