"""How a task of lmms-eval wants its questions answered, as far as the model's answers can heed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What lmms-eval's own models take where a task does not say.
_MAX_NEW_TOKENS = 1024

_GREEDY = "answers are the likeliest words alone; add --gen_kwargs"


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """`max_new_tokens`: the longest answer. `until`: texts before the first of which an answer ends."""

    max_new_tokens: int
    until: tuple[str, ...] = ()

    def cut(self, text: str) -> str:
        """The text up to the first that ends it."""
        found = [text.find(end) for end in self.until]
        return text[: min((place for place in found if place >= 0), default=len(text))].strip()


def answer_settings(asked: Mapping[str, Any]) -> AnswerSettings:
    """From a task's `generation_kwargs`. Raises ValueError for what would not be the likeliest answer: sampling, beams, penalties."""
    temperature = asked.get("temperature")
    if temperature or (temperature is None and asked.get("do_sample")):
        raise ValueError(f"temperature: {_said(temperature)}, but {_GREEDY} temperature=0,do_sample=False")
    for name in ("num_beams", "repetition_penalty"):
        if (value := asked.get(name)) is not None and value != 1:
            raise ValueError(f"{name}: the task asks for {value}, but {_GREEDY} {name}=1")
    longest = asked.get("max_new_tokens") or _MAX_NEW_TOKENS
    until = asked.get("until") or ()
    return AnswerSettings(int(longest), tuple(end for end in ((until,) if isinstance(until, str) else until) if end))


def _said(temperature: float | None) -> str:
    return "the task asks to sample" if temperature is None else f"the task asks for {temperature}"
