"""Which parts of the model learn in a stage, each with its own learning rate."""

from __future__ import annotations

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from opabinia.models.multimodal import MultimodalModel
from opabinia.training.learning_rate import rate_factor, scaled_learning_rate
from opabinia.training.stages import StageConfig


def build_optimiser(model: MultimodalModel, stage: StageConfig) -> tuple[AdamW, LambdaLR]:
    """Freeze what the stage does not train and give each part that learns its scaled rate; groups carry the part's name."""
    groups: list[dict[str, object]] = []
    for part in ("connector", "language_model"):
        module: nn.Module = getattr(model, part)
        module.requires_grad_(part in stage.trains)
        if part in stage.trains:
            rate = scaled_learning_rate(stage.learning_rates.get(part, stage.lr), stage.batch, stage.base_batch)
            groups += _decay_groups(part, module, rate, stage.weight_decay)
    optimiser = AdamW(groups)
    return optimiser, LambdaLR(optimiser, lambda step: rate_factor(stage, step))


def learning_rates(optimiser: AdamW) -> dict[str, float]:
    """The rate of each part at this moment: {"lr/connector": 1e-3, …}."""
    return {f"lr/{group['name']}": float(group["lr"]) for group in optimiser.param_groups}


def _decay_groups(part: str, module: nn.Module, rate: float, decay: float) -> list[dict[str, object]]:
    """Matrices decay, vectors (biases, norms) do not."""
    matrices = [parameter for parameter in module.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in module.parameters() if parameter.dim() <= 1]
    both = ((matrices, decay), (vectors, 0.0))
    return [{"name": part, "params": params, "lr": rate, "weight_decay": wd} for params, wd in both if params]
