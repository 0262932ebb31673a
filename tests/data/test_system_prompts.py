"""Questions of sources with short answers say so; all other records stay as they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.data.records import parse_record
from opabinia.data.system_prompts.adding import add_prompts
from opabinia.data.system_prompts.table import PromptTable, SystemPromptConfig, prompt_table

TABLE = prompt_table(SystemPromptConfig())
WORD = "Answer the question using a single word or phrase."

# Kind -> (letters, sha256) of the sentence that the published evaluation code uses.
PUBLISHED = {
    "word": (50, "c0525726b5f85518"),
    "number": (52, "fc77c2e8962357be"),
    "option": (64, "47c8841afab3019f"),
    "short": (31, "1d77a47b311637ae"),
    "phrase": (50, "c0525726b5f85518"),
    "reasoning": (65, "00749fb3390a0ef4"),
    "unanswerable": (126, "8b2e2b5845d2b607"),
}

# The paper's numbers of the kinds that each source gets.
NUMBERED = ["word", "number", "option", "short", "phrase", "no-answer", "html", "reasoning", "unanswerable", "letter"]
ASSIGNED = {
    "SketchyVQA": {1}, "OODVQA": {1}, "VizWiz": {9}, "Q-Instruct": {1, 3}, "ChartQA": {2}, "DocVQA": {4}, "DVQA": {1},
    "AI2D": {1}, "ScreenQA": {1, 6}, "CLEVR": {1}, "TallyQA": {1}, "PathVQA": {1}, "MathInstruct": {8},
    "Design2Code": {7}, "IconQA": {1, 10}, "HiTab": {1}, "WTQ": {1}, "WikiSQL": {1}, "Inter-GPS": {10},
    "Visual7W": {3}, "TQA": {10}, "RAVEN": {1},
}  # fmt: skip


def record(source: str, question: str = "<image>\nHow many?", image: str = "a/b.png", **more: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": "Two"}]
    later = [{"from": "human", "value": "And now?"}, {"from": "gpt", "value": "Three"}]
    return {"id": 7, "image": image, "source": source, "conversations": turns + later, **more}


def question_of(changed: dict[str, Any]) -> str:
    return changed["conversations"][0]["value"]


@pytest.mark.parametrize("kind", PUBLISHED)
def test_the_sentences_are_the_published_ones_to_the_letter(kind: str) -> None:
    letters, digest = PUBLISHED[kind]
    sentence = TABLE.kinds[kind]
    assert len(sentence) == letters
    assert hashlib.sha256(sentence.encode()).hexdigest().startswith(digest)


def test_there_are_ten_kinds_and_each_source_gets_the_paper_s() -> None:
    assert list(TABLE.kinds) == NUMBERED
    for source, numbers in ASSIGNED.items():
        prompts = TABLE.sources[source]
        kinds = {*prompts.always, *prompts.open, *prompts.choices}
        assert {NUMBERED.index(kind) + 1 for kind in kinds} == numbers, source


def test_the_prompt_follows_the_first_question_on_its_own_line_and_nothing_else_changes() -> None:
    before = record("chartqa_28k.json", extra=[1])
    after = add_prompts(before, TABLE)
    assert question_of(after) == "<image>\nHow many?\nAnswer the question using a single number or phrase."
    assert question_of(before) == "<image>\nHow many?"
    after["conversations"][0]["value"] = question_of(before)
    assert after == before


def test_a_picture_after_the_question_stays_last() -> None:
    after = add_prompts(record("clevr", "How many?\n<image>"), TABLE)
    assert question_of(after) == f"How many?\n{WORD}\n<image>"


@pytest.mark.parametrize(
    ("question", "added"),
    [
        ("Is it sharp?", WORD),
        ("Which?\nA. sharp\nB. blurred", TABLE.kinds["option"]),
        ("Which? (A) sharp (B) blurred", TABLE.kinds["option"]),
        ("Is it rich in vitamin A. or not?", WORD),
    ],
)
def test_sources_with_two_kinds_of_questions_are_told_apart_by_their_choices(question: str, added: str) -> None:
    assert question_of(add_prompts(record("q-instruct_200k.json", question), TABLE)) == f"{question}\n{added}"


def test_two_prompts_stand_one_after_the_other() -> None:
    added = question_of(add_prompts(record("screenqa_79k.json"), TABLE)).splitlines()[2:]
    assert added == [TABLE.kinds["no-answer"], WORD]


def test_a_record_of_a_bundle_is_known_by_the_folder_of_its_picture() -> None:
    inside = record("idefics375k.json", image="hfdata/robut_wtq/images/1.png")
    assert question_of(add_prompts(inside, TABLE)).endswith(WORD)
    outside = record("idefics375k.json", image="hfdata/vistext/images/1.png")
    assert add_prompts(outside, TABLE) == outside


@given(source=st.sampled_from([*ASSIGNED, "unlisted", ""]), question=st.text(min_size=1).filter(str.strip))
def test_adding_twice_is_adding_once_and_records_stay_valid(source: str, question: str) -> None:
    before = record(source, "<image>\n" + question.replace("<image>", ""))
    once = add_prompts(before, TABLE)
    assert add_prompts(once, TABLE) == once
    if source not in ASSIGNED:
        assert once == before
    parse_record(json.dumps(once), "f", 1)


def test_a_record_without_turns_is_left_to_whoever_checks_records() -> None:
    for broken in ({"source": "CLEVR"}, record("CLEVR") | {"conversations": [3]}):
        assert add_prompts(broken, TABLE) == broken


def test_a_table_of_ones_own_takes_the_place_of_ours(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("kinds: {curt: Be brief.}\nsources: {My Data: {always: [curt]}}\n")
    table = prompt_table(SystemPromptConfig(table=own))
    assert question_of(add_prompts(record("my_data"), table)) == "<image>\nHow many?\nBe brief."
    assert add_prompts(record("ChartQA"), table) == record("ChartQA")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "kinds: {word: One.}\nsources: {a: {always: [wrod]}}",
            "sources.a: unknown prompt kind 'wrod'; did you mean 'word'",
        ),
        ("kinds: {word: One.}\nsources: {a-b: {}, AB: {}}", "'a-b' and 'AB' are the same source; keep one"),
        ("kinds: {word: One.}\nsources: {a: {allways: [word]}}", "sources.a.allways: Extra inputs"),
        ("kinds: {word: One.", "line 1"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused_by_file_and_place(tmp_path: Path, text: str, reason: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(ValueError, match=f"^{own}: .*{reason}") as caught:
        prompt_table(SystemPromptConfig(table=own))
    assert "\n" not in str(caught.value)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.yaml: there is no such table"):
        prompt_table(SystemPromptConfig(table=tmp_path / "none.yaml"))


def test_kinds_are_checked_when_a_table_is_made_in_code() -> None:
    with pytest.raises(ValueError, match="did you mean 'short'"):
        PromptTable.model_validate({"kinds": {"short": "Briefly."}, "sources": {"a": {"open": ["shortt"]}}})
