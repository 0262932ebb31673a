"""What a user reads when a settings file or flag is wrong: one line a mistake, with place, field, expected and got."""

from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.command_line import load_settings, parse_settings
from tests.command_line.tree import Tree


def lines_for(folder: Path, text: str, *flags: str) -> list[str]:
    """Read the lines about a settings file, less the folder's name at the beginning of each."""
    file = folder / "x.yaml"
    file.write_text(text)
    with pytest.raises(ValueError) as caught:
        parse_settings(Tree, ["--config", str(file), *flags])
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("seed: 1", "x.yaml: name: required, but not given"),
        ("name: 3", "x.yaml: name: expected text, got 3"),
        ("name: x\nseed: -1", "x.yaml: seed: expected at least 0, got -1"),
        ("name: x\nseed: 1.5", "x.yaml: seed: expected a whole number, got 1.5"),
        ("name: x\nseed: [1]", "x.yaml: seed: expected a whole number, got [1]"),
        ("name: x\nseed:", "x.yaml: seed: expected a whole number, got nothing"),
        ("name: x\nkept: {enabled: maybe}", "x.yaml: kept.enabled: expected true or false, got 'maybe'"),
        ("name: x\nkept: on", "x.yaml: kept: expected fields of its own, got 'on'"),
        ("name: x\nstages: [{name: a, lr: fast}]", "x.yaml: stages.0.lr: expected a number, got 'fast'"),
        ("name: x\nstages: [{name: a, lr: .inf}]", "x.yaml: stages.0.lr: expected a finite number, got inf"),
        ("name: x\nstages: [{name: a, lr: 0}]", "x.yaml: stages.0.lr: expected more than 0, got 0"),
        (
            "name: x\nstages: [{name: a, lr: 1, lrr: 1}]",
            "x.yaml: stages.0.lrr: unknown field; did you mean 'lr'? Known: ",
        ),
        ("name: x\nstages: fast", "x.yaml: stages: expected a list, got 'fast'"),
        (
            "name: x\nstages: [{name: a, lr: 1, trains: [conector]}]",
            "x.yaml: stages.0.trains.0: expected 'connector' or 'language_model', got 'conector'; did you",
        ),
        (
            "name: x\nstages: [{name: a, lr: 1, rates: {conector: 1}}]",
            "x.yaml: stages.0.rates.conector: expected 'connector' or 'language_model', got 'conector'; did you mean",
        ),
        ("name: x\nconector: 1", "x.yaml: conector: unknown field; did you mean 'connector'? Known: "),
        ("name: x\n3: 1", "x.yaml: 3: unknown field. Known: "),
        (
            "name: x\nsets: all_subset",
            "x.yaml: sets: expected a list or 'all_subsets', got 'all_subset'; did you mean 'all_subsets'?",
        ),
        ("name: x\nsets: [[a, 3]]", "x.yaml: sets.0.1: expected text, got 3"),
        ("name: x\nsets: [a]", "x.yaml: sets.0: expected a list, got 'a'"),
        (
            "name: x\nconnector: {type: svaa}",
            "x.yaml: connector.type: unknown connector 'svaa'; did you mean 'sva'? Known: ",
        ),
        ("name: x\nconnector: {width: 3}", "x.yaml: connector.type: missing; choose one of "),
        (
            "name: x\nconnector: {type: sva, widht: 3}",
            "x.yaml: connector.widht: unknown field; did you mean 'width'? Known: ",
        ),
        (
            "name: x\nconnector: {type: mlp2x_gelu, in_llm_count: 3}",
            "x.yaml: connector.in_llm_count: unknown field here; only type sva has it. Known: type, queries",
        ),
        ("name: x\nconnector: {type: sva, queries: 8}", "x.yaml: connector.queries: 8 is not a square; use 4 or 9"),
        ("name: x\nconnector: {type: sva, heads: 3}", "x.yaml: connector.heads: 3 does not divide width 128"),
        ("name: x\nstages: [{name: a, lr: 1}, {name: a, lr: 1}]", "x.yaml: stages.1.name: given twice; choose another"),
        ("name: x\nsources: {s: {folder: 3}}", "x.yaml: sources.s.folder: expected a path, got 3"),
    ],
)
def test_a_wrong_value_in_a_file_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    lines = lines_for(tmp_path, text)
    assert len(lines) == 1
    assert lines[0].startswith(line)


def test_every_mistake_has_its_own_line(tmp_path: Path) -> None:
    lines = lines_for(tmp_path, "name: 3\nseed: x\nstages: [{name: a, lr: fast, trains: [x]}]")
    assert [line.split(": ")[1] for line in lines] == ["name", "seed", "stages.0.lr", "stages.0.trains.0"]


def test_a_wrong_value_from_a_flag_names_the_flag_and_not_the_file(tmp_path: Path) -> None:
    assert lines_for(tmp_path, "name: x", "--stages.1.lr", "fast") == ["--stages.1.lr: expected a number, got 'fast'"]


def test_a_mistake_inside_a_flags_value_names_both(tmp_path: Path) -> None:
    lines = lines_for(tmp_path, "name: x", "--stages", "[{name: a, lr: fast}]")
    assert lines == ["--stages: stages.0.lr: expected a number, got 'fast'"]


def test_what_is_missing_beside_a_flag_names_the_flag(tmp_path: Path) -> None:
    assert lines_for(tmp_path, "name: x", "--stages.2.lr", "1") == [
        "--stages.2.lr: stages.2.name: required, but not given"
    ]


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    (line,) = lines_for(tmp_path, f"name: x\nseed: {'y' * 500}")
    assert line.endswith("…")
    assert len(line) < 140


def test_nothing_at_all_points_at_the_file() -> None:
    with pytest.raises(ValueError, match="nothing is set; start from a file, --config FILE"):
        parse_settings(Tree, [])


def test_a_default_file_stands_in_for_the_one_that_is_not_given(tmp_path: Path) -> None:
    default, given = tmp_path / "default.yaml", tmp_path / "given.yaml"
    default.write_text("name: default\nseed: 3\n")
    given.write_text("name: given\n")
    assert parse_settings(Tree, ["--limit", "1"], default_file=default) == Tree(name="default", seed=3, limit=1)
    assert parse_settings(Tree, ["--config", str(given)], default_file=default) == Tree(name="given")
    default.write_text("seed: fast\nname: x\n")
    with pytest.raises(ValueError, match=r"default\.yaml: seed: expected a whole number, got 'fast'"):
        parse_settings(Tree, [], default_file=default)


def test_load_settings_prints_the_lines_and_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load_settings(Tree, ["--name", "x", "--seed", "fast", "--limit", "few"], description="")
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "--seed: expected a whole number, got 'fast'\n--limit: expected a whole number, got 'few'\n"
    )
