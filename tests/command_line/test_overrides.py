"""Dotted flags reach every field, in lists and dictionaries too, and change nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.settings.mlp import MlpSettings
from connectors.settings.sva import SvaSettings
from opabinia.command_line import parse_settings, settings_text
from tests.command_line.tree import Cache, Stage, Tree

SHORT_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1, max_size=12)


def parsed(*flags: str) -> Tree:
    return parse_settings(Tree, ["--name", "x", *flags])


def test_a_flag_takes_its_value_from_the_next_word_or_after_an_equals_sign() -> None:
    assert parsed("--seed", "3") == parsed("--seed=3") == Tree(name="x", seed=3)


def test_a_flag_reaches_into_a_list_and_leaves_the_rest_of_it() -> None:
    assert parsed("--stages.1.lr", "2e-5").stages == (Stage(name="one", lr=0.1), Stage(name="two", lr=2e-5))


def test_a_flag_at_the_end_of_a_list_appends() -> None:
    assert parsed("--encoders.2", "c").encoders == ("a", "b", "c")
    assert parsed("--stages.2", "{name: three, lr: 1}").stages[2] == Stage(name="three", lr=1)
    assert parsed("--stages.2.name", "three", "--stages.2.lr", "1").stages[2] == Stage(name="three", lr=1)


def test_a_list_is_given_as_words_or_as_yaml() -> None:
    assert parsed("--encoders", "c", "d").encoders == parsed("--encoders", "[c, d]").encoders == ("c", "d")
    assert parsed("--encoders", "c").encoders == ("c",)
    assert parsed("--encoders", "[]").encoders == ()
    assert parsed("--sets", "[[a, b], [a]]").sets == parsed("--sets", "[a, b]", "[a]").sets == (("a", "b"), ("a",))
    assert parsed("--sets", "all_subsets").sets == "all_subsets"


def test_a_flag_adds_to_a_dictionary() -> None:
    assert parsed("--sources.new.folder", "data").sources["new"].folder == Path("data")
    assert parsed("--stages.0.rates.connector", "1e-3").stages[0].rates == {"connector": 1e-3}


def test_a_flag_begins_a_group_that_is_null_by_default() -> None:
    assert parsed("--cache.enabled", "false").cache == Cache(enabled=False)


def test_null_empties_an_optional_field_and_is_a_word_elsewhere() -> None:
    assert parsed("--limit", "3", "--limit", "null").limit is None
    assert parsed("--name", "null").name == "null"


def test_a_flag_without_a_value_switches_a_switch_on() -> None:
    assert parsed("--kept.enabled").kept == Cache(enabled=True)


def test_the_last_of_two_flags_for_one_field_wins() -> None:
    assert parsed("--seed", "3", "--seed", "4").seed == 4


def test_a_part_is_laid_over_the_whole_in_either_order() -> None:
    whole = ["--stages", "[{name: a, lr: 1}, {name: b, lr: 2}]"]
    part = ["--stages.1.lr", "3"]
    assert parsed(*whole, *part) == parsed(*part, *whole)
    assert parsed(*whole, *part).stages[1].lr == 3


def test_dashes_are_read_as_underscores_where_the_field_has_them() -> None:
    assert parsed("--connector.in-llm-count", "1").connector == SvaSettings(width=64, in_llm_count=1)


def test_a_default_of_a_group_stays_where_one_field_of_it_is_set() -> None:
    assert parsed("--connector.depth", "2").connector == SvaSettings(width=64, depth=2)


def test_choosing_another_kind_of_connector_leaves_the_former_kinds_fields_behind(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("name: x\nconnector: {type: sva, queries: 4, width: 32}\n")
    changed = parse_settings(Tree, ["--config", str(file), "--connector.type", "mlp2x_gelu"])
    assert changed.connector == MlpSettings(type="mlp2x_gelu", queries=4)


def test_flags_are_laid_over_the_file_field_by_field(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("name: x\nstages:\n  - {name: a, lr: 1e-3}\n  - {name: b, lr: 1e-3, steps: 7}\n")
    settings = parse_settings(Tree, ["--stages.1.lr=2", "--config", str(file)])
    assert settings.stages == (Stage(name="a", lr=1e-3), Stage(name="b", lr=2, steps=7))


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--nam", "y"], "--nam: unknown field; did you mean 'name'? Known: name, seed, limit"),
        (["--stages.1.lrr", "1"], "--stages.1.lrr: unknown field; did you mean 'lr'? Known: name, lr, steps"),
        (["--lr", "1"], "--lr: unknown field; did you mean 'stages.N.lr'? Known: "),
        (["--stages.7.lr", "1"], "--stages.7.lr: stages has 2 items, numbered from 0; stages.2 would add one"),
        (["--stages.-1.lr", "1"], "--stages.-1.lr: stages has 2 items, numbered from 0; stages.2 would add one"),
        (["--stages.first.lr", "1"], "--stages.first.lr: stages has 2 items"),
        (["--stages.0.rates.conector", "1"], "--stages.0.rates.conector: unknown field; did you mean 'connector'?"),
        (["--seed.x", "1"], "--seed.x: seed "),
        (
            ["--connector.type", "mlp2x_gelu", "--connector.in_llm_count", "8"],
            "--connector.in_llm_count: unknown field here; only type sva has it",
        ),
        (["--seed"], "--seed: needs a value"),
        (["--seed", "1", "2"], "--seed: takes one value, got 2: 1 2"),
        (["--encoders", "[a"], "--encoders: line 1, column 3: "),
        (["--=3"], "--: unknown field"),
        (["--config"], "--config: takes one file, got none"),
        (["--config", "a", "--config", "b"], "--config: given twice"),
    ],
)
def test_a_wrong_flag_is_one_line_that_begins_with_it(flags: list[str], line: str) -> None:
    with pytest.raises(ValueError) as caught:
        parsed(*flags)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_a_word_that_belongs_to_no_flag_is_refused() -> None:
    with pytest.raises(ValueError, match="'stray': unexpected; settings are given as --field value"):
        parse_settings(Tree, ["stray", "--name", "x"])
    with pytest.raises(ValueError, match="'stray': unexpected"):
        parse_settings(Tree, ["--name=x", "stray"])


def test_each_wrong_flag_has_its_own_line() -> None:
    with pytest.raises(ValueError) as caught:
        parsed("--nam", "y", "--sed", "1")
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["--nam", "--sed"]


trees = st.builds(
    Tree,
    name=SHORT_WORDS,
    seed=st.integers(0, 2**40),
    limit=st.none() | st.integers(),
    encoders=st.lists(SHORT_WORDS, max_size=3).map(tuple),
    sets=st.just("all_subsets") | st.lists(st.lists(SHORT_WORDS, max_size=2).map(tuple), max_size=2).map(tuple),
    cache=st.none() | st.builds(Cache, enabled=st.booleans()),
    connector=st.builds(SvaSettings, queries=st.sampled_from([1, 4, 9])) | st.builds(MlpSettings),
    stages=st.lists(
        st.builds(Stage, name=SHORT_WORDS, lr=st.floats(1e-12, 1e12), trains=st.just(("language_model",))),
        max_size=3,
        unique_by=lambda stage: stage.name,
    ).map(tuple),
)


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    """List every scalar of plain data with its dotted path."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))]
    if isinstance(value, list):
        return [leaf for place, inner in enumerate(value) for leaf in leaves(inner, (*path, str(place)))]
    return [(".".join(path), value)]


def words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@settings(deadline=None)
@given(trees, st.data())
def test_setting_any_leaf_to_the_value_it_has_changes_nothing(tree: Tree, data: st.DataObject) -> None:
    whole = [
        f"--{key}={json.dumps(value, ensure_ascii=False)}"
        for key, value in tree.model_dump(mode="json").items()
        if key != "name"
    ]
    path, value = data.draw(st.sampled_from(leaves(tree.model_dump(mode="json"))))
    flags = [f"--name={tree.name}", *[flag for flag in whole if not flag.endswith('="all_subsets"')]]
    assert parse_settings(Tree, [*flags, f"--{path}={words(value)}"]) == tree


@settings(deadline=None)
@given(st.integers(0, 1), st.floats(1e-300, 1e300))
def test_a_number_arrives_exactly_and_alone(place: int, lr: float) -> None:
    changed = parsed(f"--stages.{place}.lr", repr(lr))
    assert changed.stages[place].lr == lr
    assert changed.stages[1 - place] == parsed().stages[1 - place]


@settings(deadline=None)
@given(SHORT_WORDS)
def test_text_arrives_exactly(text: str) -> None:
    assert parse_settings(Tree, [f"--name={text}"]).name == text


@settings(deadline=None)
@given(trees)
def test_settings_survive_the_way_through_a_file(tree: Tree) -> None:
    from opabinia.command_line.yaml_text import parse_yaml

    assert Tree.model_validate(parse_yaml(settings_text(tree))) == tree
