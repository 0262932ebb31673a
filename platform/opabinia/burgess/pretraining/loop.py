"""The loop that all three vision encoders are pretrained with; only the model and its loss differ."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn

from opabinia.burgess.pretraining.schedule import cosine_with_warmup
from opabinia.burgess.pretraining.settings import EncoderPretraining


def pretrain(
    name: str, model: nn.Module, loss: Callable[[torch.Tensor], torch.Tensor], config: EncoderPretraining
) -> float:
    """Minimise `loss(indices)` over random batches of picture indices; returns the mean loss of the last 50 steps."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, betas=(0.9, 0.98))
    schedule = cosine_with_warmup(optimizer, config.steps)
    generator = torch.Generator().manual_seed(config.seed)
    recent: list[float] = []
    started = time.perf_counter()
    for step in range(config.steps):
        value = loss(torch.randint(config.pictures, (config.batch,), generator=generator))
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        recent = [*recent[-49:], value.item()]
        if step % config.log_every == 0:
            rate = (time.perf_counter() - started) / (step + 1)
            print(f"{name} step {step} loss {sum(recent) / len(recent):.4f} ({rate:.2f} s a step)", flush=True)
    return sum(recent) / len(recent)
