"""A small real answerer for tests: it looks at the picture's pixels and the prompt's words, and says what it saw."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opabinia.models.answering import Answer, Prompt

MAX_WORDS = 200


@dataclass(frozen=True)
class StandIn:
    """Answers "<name> saw <width>x<height> <mean colour>: <last turn>, turns=…, batch=…", or what the prompt commands.

    A last word of "crash" raises RuntimeError, "sleep" takes a second, "draw" gives ten random digits.
    """

    name: str

    def answer(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> list[Answer]:
        if any(prompt.turns[-1].text.endswith("crash") for prompt in prompts):
            raise RuntimeError("secret detail: the weights have melted")
        if any(prompt.turns[-1].text.endswith("sleep") for prompt in prompts):
            time.sleep(1.0)
        source = random.Random(seed)
        return [self._answer_one(prompt, len(prompts), max_new_tokens, temperature, source) for prompt in prompts]

    def _answer_one(
        self, prompt: Prompt, batch: int, max_new_tokens: int, temperature: float, source: random.Random
    ) -> Answer:
        asked = [word for turn in prompt.turns for word in turn.text.split()]
        if len(asked) > MAX_WORDS:
            raise ValueError(f"messages: {len(asked)} tokens do not fit into a context of {MAX_WORDS}")
        last = prompt.turns[-1].text.replace("<image>", "").strip()
        said = f"{self.name} saw {describe(prompt)}: {last}, turns={len(prompt.turns)}, batch={batch}"
        if last.endswith("draw"):
            said = " ".join(str(source.randrange(10) if temperature else 0) for _ in range(10))
        words = said.split(" ")
        cut = words[:max_new_tokens]
        reason = "stop" if len(words) <= max_new_tokens else "length"
        return Answer(" ".join(cut), prompt_tokens=len(asked), completion_tokens=len(cut), finish_reason=reason)


def describe(prompt: Prompt) -> str:
    """The picture's size and its mean colour, or "nothing"."""
    if prompt.image is None:
        return "nothing"
    width, height = prompt.image.size
    red, green, blue = (int(value) for value in prompt.image.resize((1, 1)).getpixel((0, 0)))
    return f"{width}x{height} #{red:02x}{green:02x}{blue:02x}"


def load(folder: Path) -> StandIn:
    """Read the name that the folder holds."""
    return StandIn((folder / "name.txt").read_text())
