"""A step is done anew when its outcome would be another, and only then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opabinia.data.instructions.recipes import pages_recipe, records_recipe, topics_recipe
from opabinia.data.instructions.wiki import WikiConfig
from tests.data.instructions.specimens import TEMPLATES, caption_file, settings, write_json

URL = "http://127.0.0.1:1/v1"
SPEED: list[dict[str, Any]] = [
    {"asking": {"at_once": 9, "processes": 3, "requests_per_task": 7, "stop_after_failures": 3}},
    {"endpoint": {"base_url": "http://elsewhere:1/v1", "timeout_s": 9.0, "api_key_env": "KEY"}},
    {"patience": {"tries": 2, "first_wait_s": 5.0}},
]


@pytest.mark.parametrize("changes", SPEED)
def test_what_only_decides_how_fast_it_is_had_changes_nothing(tmp_path: Path, changes: dict[str, Any]) -> None:
    files = [caption_file(tmp_path / "birds.jsonl", 3)]
    given, other = settings(URL, tmp_path), settings(URL, tmp_path, **changes)
    assert given != other
    assert records_recipe(given, files) == records_recipe(other, files)
    assert topics_recipe(given, files[0]) == topics_recipe(other, files[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": {"model": "other"}},
        {"endpoint": {"temperature": None}},
        {"endpoint": {"body": {"seed": 1}}},
        {"date": "2026-11-22"},
        {"filters": {"giveaways": []}},
        {"asking": {"attempts": 3}},
        {"asking": {"unanswered_limit": 0.5}},
    ],
)
def test_another_question_or_another_filter_makes_topics_and_records_anew(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    files = [caption_file(tmp_path / "birds.jsonl", 3)]
    given, other = settings(URL, tmp_path), settings(URL, tmp_path, **changes)
    assert records_recipe(given, files) != records_recipe(other, files)
    assert topics_recipe(given, files[0]) != topics_recipe(other, files[0])


@pytest.mark.parametrize(
    "changes", [{"licences": {"Birds": "CC0"}}, {"shard_size": 5}, {"words_at_least": 9}, {"context_words": 9}]
)
def test_what_concerns_records_alone_leaves_topics_as_they_are(tmp_path: Path, changes: dict[str, Any]) -> None:
    files = [caption_file(tmp_path / "birds.jsonl", 3)]
    given, other = settings(URL, tmp_path), settings(URL, tmp_path, **changes)
    assert records_recipe(given, files) != records_recipe(other, files)
    assert topics_recipe(given, files[0]) == topics_recipe(other, files[0])


def test_input_and_templates_count_by_what_they_hold(tmp_path: Path) -> None:
    files = [caption_file(tmp_path / "birds.jsonl", 3)]
    first = records_recipe(settings(URL, tmp_path), files)
    caption_file(tmp_path / "birds.jsonl", 4)
    longer = records_recipe(settings(URL, tmp_path), files)
    caption_file(tmp_path / "birds.jsonl", 3)
    assert longer != first == records_recipe(settings(URL, tmp_path), files)
    plainer = TEMPLATES | {"templates": {**TEMPLATES["templates"], "plain": {"user": "Tell of: $caption"}}}
    own = settings(URL, tmp_path, templates=str(write_json(tmp_path / "own.json", plainer)))
    assert records_recipe(own, files) != first
    assert topics_recipe(own, files[0]) == topics_recipe(settings(URL, tmp_path), files[0])


def test_pages_follow_from_the_topics_and_the_wiki() -> None:
    wiki = WikiConfig(user_agent="me")
    same = WikiConfig(user_agent="someone else", pause_s=9.0, at_once=1)
    assert pages_recipe(wiki, ["a", "b"]) == pages_recipe(same, ["a", "b"])
    assert pages_recipe(wiki, ["a", "b"]) != pages_recipe(wiki, ["b", "a"])
    assert pages_recipe(wiki, ["a"]) != pages_recipe(WikiConfig(user_agent="me", pages_per_topic=3), ["a"])


def test_recipes_are_plain_json_without_the_key_s_name(tmp_path: Path) -> None:
    files = [caption_file(tmp_path / "birds.jsonl", 3)]
    given = settings(URL, tmp_path, endpoint={"api_key_env": "WRITER_KEY"})
    for recipe in (records_recipe(given, files), topics_recipe(given, files[0])):
        assert "WRITER_KEY" not in json.dumps(recipe)
