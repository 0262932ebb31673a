"""What a stage's optimiser is made of, and what its learning rates are at any moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from opabinia.models.multimodal import MultimodalModel
from opabinia.training.optimisation.groups import Group, model_parts, parameter_groups
from opabinia.training.optimisation.learning_rate import rate_factor
from opabinia.training.recipe.stages import StageConfig


@dataclass(frozen=True, slots=True)
class Optimiser:
    """AdamW and the schedule of its learning rates."""

    adamw: AdamW
    schedule: LambdaLR

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Everything that learns."""
        return [parameter for group in self.adamw.param_groups for parameter in group["params"]]

    def step(self) -> None:
        """Use the gradients up."""
        self.adamw.step()
        self.skip()

    def skip(self) -> None:
        """Throw the gradients away; the learning rates go on as if they had been used."""
        self.schedule.step()
        self.adamw.zero_grad(set_to_none=True)


def set_learning(model: MultimodalModel, stage: StageConfig, encoders: Mapping[str, nn.Module] | None = None) -> None:
    """Freeze what the stage does not train, which hardware must know before it copies a model. See `build_optimiser`."""
    _groups(model, stage, encoders)


def build_optimiser(
    model: MultimodalModel, stage: StageConfig, encoders: Mapping[str, nn.Module] | None = None
) -> Optimiser:
    """Freeze what the stage does not train and give each part that learns its own groups, which carry the part's name.

    Call once the model is sharded, for that puts other parameters in place. `encoders`: by catalogue id, those that can learn here.
    Raises ValueError where the stage trains a part that is not there.
    """
    groups = _groups(model, stage, encoders)
    adamw = AdamW(groups, betas=stage.betas, eps=stage.eps, fused=_in_one_kernel(groups))
    return Optimiser(adamw, LambdaLR(adamw, lambda step: rate_factor(stage, step)))


def _in_one_kernel(groups: Sequence[Group]) -> bool:
    """On GPUs, which would launch several kernels for every tensor; elsewhere the plain operations round alike on all hardware."""
    return {parameter.device.type for group in groups for parameter in group["params"]} == {"cuda"}


def _groups(model: MultimodalModel, stage: StageConfig, encoders: Mapping[str, nn.Module] | None) -> list[Group]:
    model.requires_grad_(False)
    return parameter_groups(model_parts(model, encoders or {}), stage)


def learning_rates(optimiser: Optimiser) -> dict[str, float]:
    """The rate of each part at this moment: {"lr/connector": 1e-3, "lr/encoders.cambrian/siglip-so-384": 1e-5, …}."""
    return {f"lr/{group['name']}": float(group["lr"]) for group in optimiser.adamw.param_groups}
