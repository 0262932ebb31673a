"""Fields of knowledge, and the topics in them that a model names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opabinia.data.instructions.asking import Answered
from opabinia.data.instructions.conversations import provenance
from opabinia.data.instructions.report import Report
from opabinia.data.instructions.requests import Prompt
from opabinia.data.instructions.settings import InstructionConfig
from opabinia.data.instructions.templates import PromptTemplate
from opabinia.data.shards import read_lines

TEMPLATE = "topics"
FIELDS = Path(__file__).with_name("fields.txt")


@dataclass(frozen=True, slots=True)
class Subfield:
    """A part of a field of knowledge: ("Biology", "Genetics")."""

    field: str
    name: str

    @property
    def identity(self) -> str:
        """What it is called in reports and provenance."""
        return f"{self.field}/{self.name}"


def read_fields(file: Path) -> list[Subfield]:
    """The subfields of a file of lines "Field: subfield, subfield"; # begins a comment. Raises ValueError with file and line."""
    found = list[Subfield]()
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        content = line.partition("#")[0].strip()
        field, colon, names = content.partition(":")
        subfields = [name.strip() for name in names.split(",") if name.strip()]
        if content and not (colon and field.strip() and subfields):
            raise ValueError(f"{file}:{number}: expected 'Field: subfield, subfield', got {content!r}")
        found += [Subfield(field.strip(), name) for name in subfields]
    if not found:
        raise ValueError(f"{file}: holds no fields; write lines 'Field: subfield, subfield'")
    return list(dict.fromkeys(found))


def topic_names(file: Path) -> list[str]:
    """The topics of a topics.jsonl, in order."""
    return [str(json.loads(line)["topic"]) for _, line in read_lines(file)]


def topic_prompt(subfield: Subfield, template: PromptTemplate, settings: InstructionConfig) -> Prompt:
    """Asks for the topics of a subfield."""
    texts = {"field": subfield.field, "subfield": subfield.name, "count": str(settings.topics)}
    prompt = template.prompt(texts)
    return replace(prompt, form=prompt.form.model_copy(update={"most": settings.topics}))


def named_topics(
    subfields: list[Subfield], template: PromptTemplate, answered: Answered, settings: InstructionConfig, report: Report
) -> Iterator[Mapping[str, Any]]:
    """{topic, field, subfield, provenance}, each topic where it is named first."""
    seen = set[str]()
    for subfield in subfields:
        outcome = answered.outcome(topic_prompt(subfield, template, settings))
        report.add_attempts(outcome)
        if outcome.content is None:
            report.add_rejection(subfield.field, outcome.reason)
            continue
        new = [topic for topic in outcome.content.items if topic.casefold() not in seen]
        seen.update(topic.casefold() for topic in new)
        report.add_record(subfield.field, len(new))
        origin = provenance(subfield.identity, TEMPLATE, template, outcome.attempts[-1], settings)
        for topic in new:
            yield {"topic": topic, "field": subfield.field, "subfield": subfield.name, "provenance": origin}
