"""Which parts of the model learn in a stage, each with its own learning rate."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from opabinia.models.multimodal import MultimodalModel
from opabinia.training.learning_rate import rate_factor, scaled_learning_rate
from opabinia.training.stages import Part, StageConfig


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
        self.schedule.step()
        self.adamw.zero_grad(set_to_none=True)


def build_optimiser(model: MultimodalModel, stage: StageConfig) -> Optimiser:
    """Freeze what the stage does not train and give each part that learns its scaled rate; groups carry the part's name."""
    groups: list[dict[str, object]] = []
    model.requires_grad_(False)
    for part in stage.trains:
        rate = scaled_learning_rate(stage.learning_rates.get(part, stage.lr), stage.batch, stage.base_batch)
        groups += _decay_groups(part, _parameters(model, part), rate, stage.weight_decay)
    adamw = AdamW(groups)
    return Optimiser(adamw, LambdaLR(adamw, lambda step: rate_factor(stage, step)))


def learning_rates(optimiser: Optimiser) -> dict[str, float]:
    """The rate of each part at this moment: {"lr/connector": 1e-3, …}."""
    return {f"lr/{group['name']}": float(group["lr"]) for group in optimiser.adamw.param_groups}


def _parameters(model: MultimodalModel, part: Part) -> list[nn.Parameter]:
    module: nn.Module = getattr(model, part)
    separator = [] if part != "connector" or model.row_separator is None else [model.row_separator]
    parameters = [*module.parameters(), *separator]
    for parameter in parameters:
        parameter.requires_grad_()
    return parameters


def _decay_groups(part: Part, parameters: list[nn.Parameter], rate: float, decay: float) -> list[dict[str, object]]:
    """Matrices decay, vectors (biases, norms) do not."""
    matrices = [parameter for parameter in parameters if parameter.dim() > 1]
    vectors = [parameter for parameter in parameters if parameter.dim() <= 1]
    both = ((matrices, decay), (vectors, 0.0))
    return [{"name": part, "params": params, "lr": rate, "weight_decay": wd} for params, wd in both if params]
