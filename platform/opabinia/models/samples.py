"""Several samples in one row: where each begins and is answered, and whether a language model keeps them apart."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from opabinia.models.attention import apart


def check_samples(samples: Tensor, attention_mask: Tensor) -> None:
    """`samples` and `attention_mask`: [batch, text]. Raises ValueError unless each row numbers its samples 1, 2, … and padding 0."""
    if samples.shape != attention_mask.shape or not samples.equal(_begins(samples).cumsum(1) * attention_mask):
        raise ValueError(
            "samples: number those of each row 1, 2, 3 in their order, with 0 where attention_mask is False"
        )


def positions_in_samples(samples: Tensor) -> Tensor:
    """[batch, length], the number of each token's sample -> [batch, length], its position in that sample, from 0.

    Padding (0) behind a sample goes on counting, as if it were more of that.
    """
    here = torch.arange(samples.shape[1], device=samples.device).expand_as(samples)
    return here - (here * _begins(samples)).cummax(1).values


def answered(supervised: Tensor, samples: Tensor) -> Tensor:
    """The tokens from each sample's first supervised one on, bool; all [batch, length]."""
    places = torch.arange(samples.shape[1], device=samples.device) - positions_in_samples(samples)
    count = supervised.cumsum(1)
    return count > (count - supervised.long()).gather(1, places)


def check_packing(language_model: nn.Module) -> None:
    """Raises ValueError where a sample's logits are not what they would be alone, told on two tiny rows by values and by a gradient.

    Not every family of decoders and not every implementation of attention heeds masks and positions, and none says that it does not.
    """
    llm: Any = language_model
    weight: Tensor = llm.get_input_embeddings().weight
    rows = torch.arange(12 * weight.shape[1], device=weight.device).sin().view(2, 6, -1)
    rows = rows.to(weight.dtype).requires_grad_()
    samples = torch.tensor([1, 1, 1, 2, 2, 2], device=weight.device).expand(2, -1)
    positions = positions_in_samples(samples)
    training = [module for module in llm.modules() if module.training]
    llm.eval()
    try:
        with torch.enable_grad():
            second = llm(inputs_embeds=rows, position_ids=positions, **apart(llm, rows, samples)).logits[:, 3:].float()
            (gradient,) = torch.autograd.grad(second.square().sum(), rows)
            alone = llm(
                inputs_embeds=rows[:, 3:], position_ids=positions[:, 3:], **apart(llm, rows[:, 3:], None)
            ).logits
    finally:
        for module in training:
            module.training = True
    # Half precision rounds otherwise where the kernel is another.
    if gradient[:, :3].any() or (second - alone).norm() > 0.02 * alone.float().norm():
        raise ValueError(
            f"language_model: {llm.config.model_type} with attention of the kind {llm.config._attn_implementation} lets samples of "
            "one row see each other, or where they stand; turn packing off, or load it with attn_implementation sdpa or eager if it "
            "has them"
        )


def _begins(samples: Tensor) -> Tensor:
    """Where another sample begins, bool [batch, length]."""
    return functional.pad(samples[:, 1:] != samples[:, :-1], (1, 0), value=True) & (samples > 0)
