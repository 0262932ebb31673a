"""From a model's answer to a chat completion."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from opabinia.models.answering import Answer
from opabinia.serving.schema import AnswerMessage, ChatCompletion, Choice, FinishReason, Usage


@dataclass(frozen=True, slots=True)
class Identity:
    """What all events of one answer share; `created` is in Unix seconds."""

    id: str
    created: int
    model: str


def new_identity(model: str) -> Identity:
    """Name an answer of `model` that is given now."""
    return Identity(id=f"chatcmpl-{uuid.uuid4().hex}", created=int(time.time()), model=model)


def to_completion(identity: Identity, answer: Answer, stop: Sequence[str]) -> ChatCompletion:
    """Wrap an answer, cut at the first of the `stop` strings."""
    text, reason = cut_at_stop(answer, stop)
    choice = Choice(message=AnswerMessage(content=text), finish_reason=reason)
    return ChatCompletion(
        id=identity.id, created=identity.created, model=identity.model, choices=[choice], usage=to_usage(answer)
    )


def cut_at_stop(answer: Answer, stop: Sequence[str]) -> tuple[str, FinishReason]:
    """Return the text before the earliest stop string, which itself is left out, and why the answer ends there."""
    found = [position for position in map(answer.text.find, stop) if position >= 0]
    return (answer.text[: min(found)], "stop") if found else (answer.text, answer.finish_reason)


def to_usage(answer: Answer) -> Usage:
    """Count every token the model read and wrote, those after a stop string too."""
    total = answer.prompt_tokens + answer.completion_tokens
    return Usage(prompt_tokens=answer.prompt_tokens, completion_tokens=answer.completion_tokens, total_tokens=total)
