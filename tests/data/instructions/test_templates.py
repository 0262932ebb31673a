"""The table of prompts: which source is asked what."""

from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.data.instructions.templates import PromptTemplate, TemplateTable, template_table
from tests.data.instructions.specimens import write_json

OURS = template_table(None)

# The numbers of pairs that the published pipelines ask for, and whether a description goes before them.
PUBLISHED = {
    "PMC-OA": (1, 8, False),
    "DeepLesion": (1, 3, True),
    "LLD-MMRI": (1, 2, True),
    "MAMA-MIA": (1, 2, True),
    "EURORAD": (5, 10, False),
    "Quilt-1M": (1, 2, True),
    "PadChest": (0, 0, True),
    "Radiopaedia": (0, 0, True),
}


@pytest.mark.parametrize("source", PUBLISHED)
def test_ours_asks_as_the_published_pipelines_do(source: str) -> None:
    form = OURS.named(OURS.name_for(source)).form
    assert (form.least, form.most, form.description) == PUBLISHED[source]


def test_the_name_of_a_source_may_be_written_in_many_ways() -> None:
    assert OURS.name_for("pmc_oa.jsonl") == OURS.name_for("PMC-OA") == "pmc"
    assert OURS.name_for("something else") == "general"


def test_texts_are_filled_in_as_they_are() -> None:
    template = PromptTemplate(user="About ${caption}: $caption", optional={"context": "And $context"})
    prompt = template.prompt({"caption": " costs $5, ${context} {x} %s ", "context": ""})
    assert prompt.user == "About costs $5, ${context} {x} %s: costs $5, ${context} {x} %s"
    assert template.prompt({"caption": "a", "context": "b"}).user == "About a: a\n\nAnd b"


def test_a_text_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="findings is missing or empty"):
        OURS.named("eurorad").prompt({"caption": "x", "findings": "  "})


def test_every_letter_changes_the_digest() -> None:
    template = PromptTemplate(user="About $caption")
    assert template.digest == PromptTemplate(user="About $caption").digest
    assert template.digest != PromptTemplate(user="About $caption.").digest
    assert template.digest != PromptTemplate(user="About $caption", system="Hi").digest


def test_the_question_of_a_description_depends_on_the_record_alone() -> None:
    template = OURS.named("deeplesion")
    drawn = [template.description_question(f"r{number}") for number in range(50)]
    assert drawn == [template.description_question(f"r{number}") for number in range(50)]
    assert set(drawn) == set(template.description_questions)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"templates": {"a": {"user": "x"}}, "sources": {"S": "b"}}, "sources.S: unknown template 'b'"),
        ({"templates": {"a": {"user": "x"}}, "default": "b"}, "default: unknown template 'b'"),
        ({"templates": {"a": {"user": "x", "form": {"least": 3, "most": 2}}}}, "form.least: 3 is not between 0 and"),
        ({"templates": {"a": {"user": "x", "form": {"kind": "poem"}}}}, "form.kind: Input should be 'pairs' or 'list'"),
        (
            {"templates": {"a": {"user": "x", "form": {"description": True}}}},
            "description_questions: a description needs",
        ),
        ({"templates": {"a": {"user": "x", "form": {"least": 0, "most": 0}}}}, "nothing to ask"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, document: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        template_table(write_json(tmp_path / "table.json", document))


def test_a_source_without_a_template_is_refused() -> None:
    table = TemplateTable(templates={"a": PromptTemplate(user="x")}, sources={"S": "a"})
    assert table.name_for("s") == "a"
    with pytest.raises(ValueError, match="no template for source 'T'"):
        table.name_for("T")
