"""Several samples in one row: where each begins, what each asks, and whether a language model keeps them apart."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from opabinia.data.prompts import IGNORE


def check_samples(samples: Tensor, attention_mask: Tensor) -> None:
    """`samples` and `attention_mask`: [batch, text]. Raises ValueError unless each row numbers its samples 1, 2, … and padding 0."""
    if samples.shape != attention_mask.shape or not samples.equal(_begins(samples).cumsum(1) * attention_mask):
        raise ValueError(
            "samples: number those of each row 1, 2, 3 in their order, with 0 where attention_mask is False"
        )


def positions_in_samples(samples: Tensor) -> Tensor:
    """[batch, length], the number of each token's sample -> [batch, length], its position in that sample, from 0.

    Padding (0) goes on counting, so that rows of one sample each are told from packed ones.
    """
    here = torch.arange(samples.shape[1], device=samples.device).expand_as(samples)
    return here - (here * _begins(samples)).cummax(1).values


def mean_questions(
    text: Tensor, is_image: Tensor, attention_mask: Tensor, labels: Tensor | None, samples: Tensor
) -> Tensor:
    """Mean embedding of what each sample asks, [batch, samples, width]: its text before its first supervised token.

    text: [batch, text, width]; the others: [batch, text]. No token of an answer may be in it, or the model would be told in
    training what it must say.
    """
    asks = attention_mask & ~is_image
    if labels is not None:
        asks &= ~_answered(labels != IGNORE, samples)
    numbers = torch.arange(1, int(samples.max()) + 1, device=samples.device)
    chosen = (samples.unsqueeze(1) == numbers[:, None]) & asks.unsqueeze(1)
    return chosen.to(text.dtype) @ text / chosen.sum(-1, keepdim=True).clamp(min=1)


def check_packing(language_model: nn.Module) -> None:
    """Raises ValueError where a sample's logits depend on the sample before it in its row, told by their gradient on two tiny rows.

    transformers finds packed samples by positions that begin again, but not in every family of decoders and not in every
    implementation of attention, and where it does not it says nothing.
    """
    llm: Any = language_model
    weight: Tensor = llm.get_input_embeddings().weight
    rows = torch.arange(12 * weight.shape[1], device=weight.device).sin().view(2, 6, -1)
    rows = rows.to(weight.dtype).requires_grad_()
    positions = torch.arange(3, device=weight.device).repeat(2).expand(2, -1)
    training = [module for module in llm.modules() if module.training]
    llm.eval()
    try:
        with torch.enable_grad():
            logits = llm(inputs_embeds=rows, position_ids=positions, use_cache=False).logits
            (gradient,) = torch.autograd.grad(logits[:, 3:].float().square().sum(), rows)
    finally:
        for module in training:
            module.training = True
    if gradient[:, :3].any():
        raise ValueError(
            f"language_model: {llm.config.model_type} with attention of the kind {llm.config._attn_implementation} lets samples of "
            "one row see each other; turn packing off, or load it with attn_implementation sdpa or eager if it has them"
        )


def _begins(samples: Tensor) -> Tensor:
    """Where another sample begins, bool [batch, length]."""
    return functional.pad(samples[:, 1:] != samples[:, :-1], (1, 0), value=True) & (samples > 0)


def _answered(supervised: Tensor, samples: Tensor) -> Tensor:
    """The tokens from each sample's first supervised one on: bool [batch, text]."""
    places = torch.arange(samples.shape[1], device=samples.device) - positions_in_samples(samples)
    count = supervised.cumsum(1)
    return count > (count - supervised.long()).gather(1, places)
