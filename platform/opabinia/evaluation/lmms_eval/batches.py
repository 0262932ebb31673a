"""Answer prompts of a task whose longest answer may not fit behind every prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opabinia.models.answering import Answer, ModelAnswerer, Prompt


def answer_in_room(answerer: ModelAnswerer, prompts: Sequence[Prompt], most: int) -> list[Answer]:
    """Answers of up to `most` tokens, or as many as the model can still read behind the prompt.

    Prompts whose limits differ are answered apart, so that an answer does not depend on its neighbours. Raises ValueError where a
    prompt leaves no room at all.
    """
    limits = [max(1, min(most, _room(answerer, prompt))) for prompt in prompts]
    answers: dict[int, Answer] = {}
    for limit in dict.fromkeys(limits):
        members = [place for place, own in enumerate(limits) if own == limit]
        said = answerer.answer([prompts[place] for place in members], max_new_tokens=limit)
        answers.update(zip(members, said, strict=True))
    return [answers[place] for place in range(len(prompts))]


def _room(answerer: ModelAnswerer, prompt: Prompt) -> int:
    """Tokens that the language model can read behind the prompt."""
    from opabinia.data.prompts import encode_prompt

    llm: Any = answerer.model.language_model
    text = len(encode_prompt(answerer.tokenizer, prompt.turns))
    sizes = None if prompt.image is None else [prompt.image.size]
    visual = sum(answerer.model.visual_lengths(1, sizes)) - 1 if prompt.has_picture else 0
    return int(llm.config.max_position_embeddings) - text - visual
