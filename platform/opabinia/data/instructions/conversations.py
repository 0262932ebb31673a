"""LLaVA records of what a model wrote about a subject."""

from __future__ import annotations

from typing import Any

from opabinia.data.instructions.judging import Content
from opabinia.data.instructions.requests import HASH_DIGITS
from opabinia.data.instructions.settings import InstructionConfig
from opabinia.data.instructions.settling import Attempt
from opabinia.data.instructions.subjects import Subject
from opabinia.data.instructions.templates import PromptTemplate
from opabinia.data.records import PLACEHOLDER


def make_record(
    subject: Subject, template: PromptTemplate, content: Content, attempt: Attempt, settings: InstructionConfig
) -> dict[str, Any]:
    """{id, image, conversations, source, licence, provenance}; the placeholder stands before the first question."""
    turns = [(pair.question, pair.answer) for pair in content.pairs]
    if content.description:
        turns.insert(0, (template.description_question(subject.id), content.description))
    first, answer = turns[0]
    turns[0] = (f"{PLACEHOLDER}\n{first}", answer)
    return {
        "id": subject.id,
        "image": subject.image,
        "conversations": [
            {"from": role, "value": text} for turn in turns for role, text in zip(("human", "gpt"), turn, strict=True)
        ],
        "source": subject.source,
        "licence": subject.licence,
        "provenance": provenance(subject.id, subject.template, template, attempt, settings) | dict(subject.origin),
    }


def provenance(
    identity: str, name: str, template: PromptTemplate, attempt: Attempt, settings: InstructionConfig
) -> dict[str, str]:
    """Where a text comes from: the model as its endpoint names it, the template, the request, and the day."""
    return {
        "model": attempt.answer.model,
        "endpoint": attempt.answer.host,
        "template": name,
        "template_hash": template.digest,
        "request": attempt.request.key[:HASH_DIGITS],
        "source_id": identity,
        "date": settings.date.isoformat(),
    }
