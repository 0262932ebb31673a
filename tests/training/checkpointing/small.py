"""A run small enough to be saved in a millisecond, with everything that a checkpoint must hold."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from opabinia.training.checkpointing.state import TrainingState

WIDTH = 7


class Model(nn.Module):
    """Odd sizes, so that no sharding comes out even; a shared weight; dropout; a buffer that counts forward passes."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(5, WIDTH)
        self.body = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Dropout(0.3), nn.Linear(WIDTH, WIDTH, bias=False))
        self.body[2].weight = self.body[0].weight
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))
        self.register_buffer("scratch", torch.zeros(3), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        self.passes += 1
        return self.body(torch.tanh(self.encoder(inputs))) * self.scale


def new_state(seed: int = 0, dropout: float = 0.3) -> TrainingState:
    torch.manual_seed(seed)
    model = Model()
    model.body[1].p = dropout
    return with_optimiser(model)


def with_optimiser(model: nn.Module, frozen: dict[str, str] | None = None) -> TrainingState:
    """Two groups: encoder (unless it is frozen), and the rest."""
    frozen = frozen or {}
    encoder = [] if "encoder" in frozen else list(model.encoder.parameters())
    rest = [*model.body.parameters(), model.scale]
    groups = [{"name": "encoder", "params": encoder, "lr": 0.02}, {"name": "rest", "params": rest, "lr": 0.01}]
    optimiser = AdamW([group for group in groups if group["params"]], weight_decay=0.1, betas=(0.8, 0.95))
    return TrainingState(model, optimiser, LambdaLR(optimiser, lambda step: 1 / (1 + step)), frozen)


def seed_everything(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def train(state: TrainingState, steps: int, wrapped: nn.Module | None = None) -> list[float]:
    """Steps whose data come from all three random generators; their losses."""
    return [train_on(state, random_inputs(), wrapped) for _ in range(steps)]


def train_on(state: TrainingState, inputs: Tensor, wrapped: nn.Module | None = None) -> float:
    """One step; `wrapped` is the model as it is to be called."""
    loss = (wrapped or state.model)(inputs).square().mean()
    loss.backward()
    state.optimiser.step()
    state.schedule.step()
    state.optimiser.zero_grad(set_to_none=True)
    return loss.item()


def random_inputs() -> Tensor:
    return torch.randn(4, 5) + random.gauss(0, 1) + float(np.random.normal())


def contents(state: TrainingState) -> dict[str, Tensor]:
    """Copies of everything that training changed, whole where it is sharded."""
    named = {name: whole(tensor) for name, tensor in state.model.state_dict().items()}
    parameters = {id(parameter): name for name, parameter in state.model.named_parameters()}
    for parameter, kept in state.optimiser.state.items():
        named |= {f"{parameters[id(parameter)]}/{key}": whole(tensor) for key, tensor in kept.items()}
    rates = [float(group["lr"]) for group in state.optimiser.param_groups]
    return {**named, "rates": torch.tensor(rates, dtype=torch.float64)}


def whole(tensor: Tensor) -> Tensor:
    gathered = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return gathered.detach().clone()


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether both hold the same names with the same bits."""
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )
