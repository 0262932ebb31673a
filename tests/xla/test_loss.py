"""The loss in chunks on PyTorch/XLA."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from opabinia.data.prompts import IGNORE
from opabinia.models.loss import Head, chunked_next_token_loss
from opabinia.training.backends.backend import Backend
from opabinia.training.backends.choose import open_backend
from opabinia.training.backends.config import HardwareConfig
from opabinia.training.backends.xla import count_compilations

ROWS, LENGTH, WIDTH, WORDS = 4, 10, 16, 40
CHUNK = 13
"""Three positions of each row, which do not divide it."""


def labels(step: int) -> Tensor:
    generator = torch.Generator().manual_seed(step)
    words = torch.randint(WORDS, (ROWS, LENGTH), generator=generator)
    return words.masked_fill(torch.rand(ROWS, LENGTH, generator=generator) < step / 10, IGNORE)


def losses(backend: Backend, steps: int) -> list[tuple[float, float]]:
    """Of each step the loss, and the norm of what it asks of the hidden states and the head."""
    torch.manual_seed(0)
    hidden, head = torch.randn(ROWS, LENGTH, WIDTH), backend.place(nn.Linear(WIDTH, WORDS))
    found: list[tuple[float, float]] = []
    for step in range(steps):
        moved = backend.move({"hidden": hidden, "labels": labels(step)})
        rows = moved["hidden"].requires_grad_()
        total, count = chunked_next_token_loss(rows, Head(head.weight, head.bias), moved["labels"], chunk=CHUNK)
        wanted = torch.autograd.grad(total / count, [rows, head.weight, head.bias])
        norm = torch.stack([gradient.square().sum() for gradient in wanted]).sum().sqrt()
        backend.finish_step()
        found.append(((total / count).item(), norm.item()))
    return found


def test_it_is_the_loss_of_the_cpu_and_how_many_words_are_supervised_costs_no_compilation() -> None:
    xla = open_backend("xla", HardwareConfig())
    first = losses(xla, 1)
    compiled = count_compilations()
    found = losses(xla, 9)
    assert count_compilations() == compiled
    expected = losses(open_backend("cpu", HardwareConfig()), 9)
    assert [loss for loss, _ in found] == pytest.approx([loss for loss, _ in expected], rel=1e-4)
    assert [norm for _, norm in found] == pytest.approx([norm for _, norm in expected], rel=1e-4)
    assert first[0] == found[0]
