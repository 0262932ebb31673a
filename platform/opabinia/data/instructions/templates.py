"""The table of prompt templates and of the sources that they are for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from string import Template

from pydantic import Field, model_validator

from opabinia.config import Config
from opabinia.data.instructions.requests import HASH_DIGITS, Form, Prompt, content_hash
from opabinia.data.source_names import source_key
from opabinia.data.tables import read_table
from opabinia.names import unknown

OURS = Path(__file__).with_name("templates.yaml")

_NAME = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class PromptTemplate(Config):
    """What a model is asked about one record; $name stands for a text of the record."""

    system: str = ""
    """Message that comes first, or empty for none."""

    user: str = Field(min_length=1)
    """The question; every text that it names must be there."""

    optional: dict[str, str] = Field(default_factory=dict[str, str])
    """Name of a text -> paragraph that is added when the record has such a text: retrieved guidelines or cases, for instance."""

    form: Form = Form()
    """What the answer must hold."""

    description_questions: tuple[str, ...] = ()
    """Questions that the description answers in the record; one is drawn for each record."""

    @model_validator(mode="after")
    def _can_be_asked(self) -> PromptTemplate:
        form = self.form
        if not 0 <= form.least <= form.most:
            raise ValueError(f"form.least: {form.least} is not between 0 and form.most, {form.most}")
        if form.most == 0 and not form.description:
            raise ValueError("form.most: 0 pairs and no description leave nothing to ask")
        if form.description and not self.description_questions:
            raise ValueError("description_questions: a description needs a question that it answers")
        return self

    @cached_property
    def digest(self) -> str:
        """16 hex digits that change with every letter of the template."""
        return content_hash(self.model_dump(mode="json"))[:HASH_DIGITS]

    def prompt(self, texts: Mapping[str, str]) -> Prompt:
        """The prompt about a record's texts. Raises ValueError when one that the template needs is not there."""
        present = {name: text.strip() for name, text in texts.items() if text.strip()}
        for name in _names(self.system) | _names(self.user):
            if name not in present:
                raise ValueError(f"{name} is missing or empty")
        extra = [text for name, text in self.optional.items() if name in present]
        user = "\n\n".join(Template(text).safe_substitute(present).strip() for text in (self.user, *extra))
        return Prompt(Template(self.system).safe_substitute(present).strip(), user, self.form)

    def description_question(self, identity: str) -> str:
        """The question of the record with this id, always the same."""
        number = int(hashlib.sha256(identity.encode()).hexdigest()[:HASH_DIGITS], 16)
        return self.description_questions[number % len(self.description_questions)]


class TemplateTable(Config):
    """Templates by name, and which sources they are for, as in templates.yaml."""

    templates: dict[str, PromptTemplate]
    """Name -> template."""

    sources: dict[str, str] = Field(default_factory=dict[str, str])
    """Source -> name of its template."""

    default: str | None = None
    """Template of sources that are not listed, or null to refuse them."""

    @model_validator(mode="after")
    def _names_are_known(self) -> TemplateTable:
        for place, name in [
            *((f"sources.{key}", name) for key, name in self.sources.items()),
            ("default", self.default),
        ]:
            if name is not None and name not in self.templates:
                raise unknown("template", name, self.templates, place=place)
        return self

    @cached_property
    def _by_key(self) -> dict[str, str]:
        return {source_key(source): name for source, name in self.sources.items()}

    def name_for(self, source: str) -> str:
        """Name of the template of a source. Raises ValueError when it has none."""
        name = self._by_key.get(source_key(source), self.default)
        if name is None:
            raise ValueError(f"templates: no template for source {source!r}; list it under sources, or give a default")
        return name

    def named(self, name: str) -> PromptTemplate:
        """The template of a name. Raises ValueError when there is none."""
        if name not in self.templates:
            raise unknown("template", name, self.templates, place="templates")
        return self.templates[name]


def template_table(file: Path | None) -> TemplateTable:
    """The table in a file, or ours. Raises ValueError that begins with the file's name."""
    return read_table(TemplateTable, file or OURS)


def _names(text: str) -> set[str]:
    return {braced or bare for braced, bare in _NAME.findall(text)}
