"""Generate answers for a batch of prompts, one pass over the images and one step a token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from connectors.padding import ImageSize
from opabinia.models.multimodal import MultimodalModel, on_host
from opabinia.models.places import place


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen: the likeliest at temperature 0, else drawn from the smallest set of mass `top_p`."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None


@torch.no_grad()
def generate(
    model: MultimodalModel,
    input_ids: Tensor,
    attention_mask: Tensor,
    features: Sequence[Tensor],
    *,
    max_new_tokens: int,
    end_tokens: frozenset[int],
    sampling: Sampling = Sampling(),
    image_sizes: Sequence[ImageSize] | None = None,
) -> list[list[int]]:
    """New token ids per prompt, without the end token; `len` below `max_new_tokens` means the model ended its answer.

    input_ids: [batch, text] padded on the right, features and image_sizes as in `MultimodalModel.forward`.
    """
    from transformers import DynamicCache

    llm: Any = model.language_model
    batch = on_host(input_ids, attention_mask, None, None)
    places = place(batch, model.layout, sizes=image_sizes, pad_left=True).to(input_ids.device)
    embeddings, inner = model.embed(places, features)
    mask, positions = (places.samples > 0).long(), places.position_ids
    cache = DynamicCache(config=llm.config)
    step = dict(inputs_embeds=embeddings, inner_visual=inner)
    generator = None if sampling.seed is None else torch.Generator(input_ids.device).manual_seed(sampling.seed)
    answers: list[list[int]] = [[] for _ in range(len(input_ids))]
    running = set(range(len(answers)))
    for _ in range(max_new_tokens):
        output = llm(**step, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True)
        tokens = _choose(output.logits[:, -1].float(), sampling, generator)
        running -= {row for row in running if int(tokens[row]) in end_tokens}
        for row in running:
            answers[row].append(int(tokens[row]))
        if not running:
            break
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        positions = positions[:, -1:] + 1
        step = dict(input_ids=tokens[:, None])
    return answers


def _choose(logits: Tensor, sampling: Sampling, generator: torch.Generator | None) -> Tensor:
    """`logits: [batch, vocabulary]` -> token ids [batch]."""
    if sampling.temperature == 0:
        return logits.argmax(-1)
    ranked, tokens = (logits / sampling.temperature).softmax(-1).sort(-1, descending=True)
    # A token stays while the mass before it is below top_p, so the likeliest one always does.
    kept = ranked.masked_fill(ranked.cumsum(-1) - ranked >= sampling.top_p, 0.0)
    return tokens.gather(-1, torch.multinomial(kept, 1, generator=generator)).squeeze(-1)
