"""What turns a decoder's hidden states into logits, taken out of the language model so that the loss can apply it in parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Head:
    """`weight: [vocabulary, width]`, `bias: [vocabulary]`; logits z become softcap · tanh(z / softcap) where there is a softcap
    (Gemma Team 2024, Gemma 2, §2).
    """

    weight: Tensor
    bias: Tensor | None = None
    softcap: float | None = None

    def logits(self, hidden: Tensor) -> Tensor:
        """`[..., width]` -> float32 `[..., vocabulary]`"""
        linear = functional.linear(hidden, self.weight, self.bias).float()
        return linear if self.softcap is None else torch.tanh(linear / self.softcap) * self.softcap


def head_of(language_model: nn.Module) -> Head:
    """The head of one of transformers' decoders. Ask anew in each step: sharding puts other tensors in the parameters' place.

    Raises ValueError where the head is no plain linear layer: adapted, quantised, or sharded by itself.
    """
    llm: Any = language_model
    linear = llm.get_output_embeddings()
    if type(linear) is not nn.Linear:
        raise ValueError(
            f"language_model: its head is {type(linear).__name__}, where the loss needs the weight of a plain Linear; leave the "
            "head out of adapters, quantisation and shards of its own"
        )
    return Head(linear.weight, linear.bias, getattr(llm.config, "final_logit_softcapping", None))


@torch.no_grad()
def check_head(language_model: nn.Module) -> None:
    """Raises ValueError where `head_of` does not explain the logits of two tokens: some families, as Granite and Cohere, scale them.

    Runs the language model, so it is best called before that is sharded.
    """
    llm: Any = language_model
    training = [module for module in llm.modules() if module.training]
    llm.eval()
    try:
        some = llm.get_input_embeddings().weight[:2].unsqueeze(0)
        expected = llm(inputs_embeds=some, use_cache=False).logits.float()
        found = head_of(llm).logits(llm.get_decoder()(inputs_embeds=some, use_cache=False).last_hidden_state)
    finally:
        for module in training:
            module.training = True
    # Half precision rounds where the family caps; a scale is off by far more.
    if (found - expected).norm() > 0.02 * expected.norm():
        raise ValueError(
            f"language_model: the logits of {llm.config.model_type} are not its head's alone, so their loss cannot be computed in "
            "chunks; use a family whose logits are plain or soft-capped"
        )
