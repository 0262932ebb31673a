"""A tiny model, its data and its loop, as the training loop uses a backend; run in Ray's workers and, for comparison, on the CPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR

from opabinia.training.backends.backend import Backend

STEPS, ROWS, LENGTH, WORDS, WIDTH = 6, 16, 12, 32, 24
IGNORE = -100


@dataclass(frozen=True)
class Batch:
    """words: [rows, length]; labels: [rows, length], IGNORE at most places, and at more of them in some rows than in others."""

    words: Tensor
    labels: Tensor


class Toy(nn.Module):
    """Guesses each word from itself; the embedding is also the head, as in many language models."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(WORDS, WIDTH)
        self.middle = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))
        self.head = nn.Linear(WIDTH, WORDS, bias=False)
        self.head.weight = self.words.weight

    def forward(self, batch: Batch) -> Tensor:
        """The sum of the losses of all supervised words."""
        logits = self.head(self.middle(self.words(batch.words)))
        return functional.cross_entropy(
            logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORE, reduction="sum"
        )


def batch(step: int, rank: int = 0, workers: int = 1) -> Batch:
    """Worker `rank`'s rows of the batch of a step."""
    generator = torch.Generator().manual_seed(step)
    words = torch.randint(WORDS, (ROWS, LENGTH), generator=generator)
    chance = torch.linspace(0.1, 0.9, ROWS)[:, None]
    labels = words.roll(1, 1).masked_fill(torch.rand(ROWS, LENGTH, generator=generator) > chance, IGNORE)
    share = slice(rank * ROWS // workers, (rank + 1) * ROWS // workers)
    return Batch(words[share], labels[share])


@dataclass
class Run:
    """One worker's training of the toy: what learns of it, `middle` or everything."""

    backend: Backend
    model: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: LambdaLR
    rank: int = 0
    workers: int = 1

    def step(self, number: int) -> float:
        """Train on the batch of that number. Returns the mean loss of its supervised words, over all workers."""
        moved = self.backend.move(batch(number, self.rank, self.workers))
        learns = [parameter for group in self.optimiser.param_groups for parameter in group["params"]]
        count = self.backend.sum((moved.labels != IGNORE).sum())
        with self.backend.autocast():
            total = self.model(moved)
        (total * self.backend.replicas / count).backward()
        self.backend.share_gradients(learns)
        nn.utils.clip_grad_norm_(learns, 1.0)
        self.optimiser.step()
        self.schedule.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.backend.finish_step()
        return (self.backend.sum(total) / count).item()


def start(backend: Backend, model: Toy, learns: str, rank: int = 0, workers: int = 1) -> Run:
    """Train the parameters whose names begin with `learns`."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(learns))
    wrapped = backend.wrap(model, list(model.middle))
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    return Run(backend, wrapped, optimiser, LambdaLR(optimiser, lambda step: 1 / (step + 1)), rank, workers)


def train(backend: Backend, rank: int = 0, workers: int = 1) -> list[float]:
    """Two stages: the middle alone, then everything. Returns the loss of each step."""
    model = Toy()
    backend.place(model)
    losses: list[float] = []
    for learns in ("middle", ""):
        run = start(backend, model, learns, rank, workers)
        losses += [run.step(number) for number in range(STEPS)]
    return losses
