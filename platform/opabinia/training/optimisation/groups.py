"""The parts of a model by name, and the optimiser groups that a stage makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from connectors.contract import Connector
from connectors.sva import SvaConnector
from opabinia.encoders.loading import VisionEncoder
from opabinia.models.lora import adapters
from opabinia.models.multimodal import MultimodalModel
from opabinia.names import unknown
from opabinia.training.optimisation.learning_rate import peak_learning_rate
from opabinia.training.recipe.parts import (
    CONNECTOR,
    ENCODERS,
    LANGUAGE_MODEL,
    SVA,
    SVA_IN_LLM,
    encoder_part,
    lineage,
)
from opabinia.training.recipe.stages import StageConfig

Group = dict[str, Any]
"""One of an optimiser's groups: its part's name, parameters, peak learning rate and weight decay."""


def model_parts(model: MultimodalModel, encoders: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Everything that a stage may train, by name. `encoders`: those that learn, or may, by catalogue id.

    Of a language model with LoRA adapters, only these; of an encoder, what its features depend on. Parts may hold each other, as
    connector does sva_in_llm.
    """
    separator = [] if model.row_separator is None else [nn.ParameterList([model.row_separator])]
    return {
        CONNECTOR: nn.ModuleList([model.connector, *separator]),
        **_sva_parts(model.connector),
        LANGUAGE_MODEL: adapters(model.language_model) or model.language_model,
        **{encoder_part(name): _learnable(encoder) for name, encoder in encoders.items()},
    }


def parameter_groups(modules: Mapping[str, nn.Module], stage: StageConfig) -> list[Group]:
    """Freeze all modules but what the stage trains, and give each part that learns its scaled rate and its own groups, two at most.

    modules: by name. Where several that learn hold a parameter, it belongs to the innermost.
    Raises ValueError where the stage trains a part that is not among them.
    """
    names = _learning(modules, stage)
    for module in modules.values():
        module.requires_grad_(False)
    owned = _owned(modules, names)
    return [group for name in names for group in _decay_groups(name, owned[name], stage)]


def _sva_parts(connector: Connector) -> dict[str, nn.Module]:
    """SVA layers and queries, as the published recipe tells them from projections (Tong et al. 2024, released training code)."""
    if not isinstance(connector, SvaConnector):
        return {}
    whole = nn.ModuleList([connector.groups, nn.ParameterList([connector.query]), connector.inner])
    return {SVA: whole, **({SVA_IN_LLM: connector.inner} if connector.inner_layers else {})}


def _learnable(encoder: nn.Module) -> nn.Module:
    """The rest would learn in name only, and hardware that copies a model waits for the gradient of all that learns."""
    if not isinstance(encoder, VisionEncoder):
        return encoder
    names = encoder.learnable
    return nn.ParameterList([parameter for name, parameter in encoder.named_parameters() if name in names])


def _learning(modules: Mapping[str, nn.Module], stage: StageConfig) -> list[str]:
    """Names of the groups, in the order of the stage's `trains`."""
    names: dict[str, None] = {}
    for place, part in enumerate(stage.trains):
        inside = [name for name in modules if part in lineage(name)]
        if not inside:
            raise _missing(part, modules, f"trains.{place}")
        # A module of the part's own name is the whole of it; encoders have none.
        whole = [part] if part in modules else inside
        names |= dict.fromkeys([*whole, *(name for name in inside if name in stage.learning_rates)])
    return list(names)


def _missing(part: str, modules: Iterable[str], place: str) -> ValueError:
    if part in (SVA, SVA_IN_LLM):
        layers = "SVA layers" if part == SVA else "SVA layers inside the language model"
        return ValueError(
            f"{place}: {part}: this connector has no {layers}; use connector sva with in_llm_count above 0, "
            "or train connector, which is all of any connector"
        )
    if ENCODERS in lineage(part) and not any(ENCODERS in lineage(name) for name in modules):
        return ValueError(f"{place}: {part}: no encoder can learn here, where stored features stand for them all")
    return unknown("part of this model", part, modules, place=place)


def _owned(modules: Mapping[str, nn.Module], names: Sequence[str]) -> dict[str, list[nn.Parameter]]:
    owned: dict[str, list[nn.Parameter]] = {}
    taken = set[int]()
    for name in sorted(names, key=lambda name: -len(lineage(name))):
        owned[name] = [parameter for parameter in modules[name].parameters() if id(parameter) not in taken]
        taken |= {id(parameter) for parameter in owned[name]}
    return owned


def _decay_groups(name: str, parameters: list[nn.Parameter], stage: StageConfig) -> list[Group]:
    """Matrices decay, vectors (biases, norms) do not."""
    for parameter in parameters:
        parameter.requires_grad_()
    matrices = [parameter for parameter in parameters if parameter.dim() > 1]
    vectors = [parameter for parameter in parameters if parameter.dim() <= 1]
    rate = peak_learning_rate(stage, name)
    both = ((matrices, stage.weight_decay), (vectors, 0.0))
    return [{"name": name, "params": params, "lr": rate, "weight_decay": decay} for params, decay in both if params]
