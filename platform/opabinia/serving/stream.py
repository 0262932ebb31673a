"""An answer as server-sent events.

Models answer whole batches at once, so a stream begins when its answer is complete; the words then come one by one.
That keeps the right HTTP status for whatever goes wrong, and clients that only know streaming work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pydantic_core import to_json

from opabinia.models.answering import Answer
from opabinia.serving.completion import Identity, cut_at_stop, to_usage
from opabinia.serving.schema import ChatChunk, ChunkChoice, Delta, FinishReason

_WORD = re.compile(r"\s*\S+|\s+")


def to_events(identity: Identity, answer: Answer, stop: Sequence[str], *, include_usage: bool) -> Iterator[str]:
    """Yield the lines of the event stream: role, words, finish reason, usage if wanted, and [DONE]."""
    text, reason = cut_at_stop(answer, stop)
    yield _event(_chunk(identity, Delta(role="assistant", content="")), include_usage)
    for word in _WORD.findall(text):
        yield _event(_chunk(identity, Delta(content=word)), include_usage)
    yield _event(_chunk(identity, Delta(), reason), include_usage)
    if include_usage:
        usage = ChatChunk(
            id=identity.id, created=identity.created, model=identity.model, choices=[], usage=to_usage(answer)
        )
        yield _event(usage, include_usage)
    yield "data: [DONE]\n\n"


def _chunk(identity: Identity, delta: Delta, reason: FinishReason | None = None) -> ChatChunk:
    choice = ChunkChoice(delta=delta, finish_reason=reason)
    return ChatChunk(id=identity.id, created=identity.created, model=identity.model, choices=[choice])


def _event(chunk: ChatChunk, include_usage: bool) -> str:
    fields = chunk.model_dump(exclude=None if include_usage else {"usage"})
    for choice in fields["choices"]:
        choice["delta"] = {name: value for name, value in choice["delta"].items() if value is not None}
    return f"data: {to_json(fields).decode()}\n\n"
