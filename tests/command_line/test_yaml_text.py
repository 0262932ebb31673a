"""Settings files: YAML 1.2's scalars, no key twice, and a clear line for a file that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.command_line import settings_text, write_settings
from opabinia.command_line.yaml_text import parse_yaml, read_document
from tests.command_line.tree import Tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("2.5", 2.5),
        ("-7", -7),
        ("on", "on"),
        ("no", "no"),
        ("true", True),
        ("2024-01-01", "2024-01-01"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("~", None),
        ("", None),
    ],
)
def test_a_word_is_what_it_looks_like(text: str, value: object) -> None:
    assert parse_yaml(text) == value
    assert type(parse_yaml(text)) is type(value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a: b: c", "line 1, column 5: mapping values are not allowed here"),
        (b"a: 1\nc: [d\ne: f\n", "line 3, column 2: expected ',' or ']', but got ':'"),
        (b"a: 1\nb: 2\na: 3\n", "line 3, column 1: 'a' is given twice"),
        (b"x: {a: 1, a: 2}", "line 1, column 11: 'a' is given twice"),
        (b"\tx: 1", "line 1, column 1: found character '\\t'"),
        (b"- a", "expected fields such as `name: quickstart`, got "),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"a: 1\n---\nb: 2", "line 2, column 1: "),
        (b"x: !!python/object:os.system {}", "line 1, column 4: could not determine a constructor"),
        (b"x: \x01", "unacceptable character #x0001"),
    ],
)
def test_a_file_that_is_not_settings_is_one_line_that_begins_with_its_name(
    tmp_path: Path, content: bytes, line: str
) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_document(str(file))
    assert str(caught.value).startswith(f"{file}: {line}")
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nope\.yaml: there is no such file"):
        read_document(str(tmp_path / "nope.yaml"))
    with pytest.raises(ValueError, match="is a folder"):
        read_document(str(tmp_path))


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("# nothing yet\n")
    assert read_document(str(file)) == {}


def test_settings_are_written_as_text_that_reads_back(tmp_path: Path) -> None:
    tree = Tree(name="no", limit=3, encoders=("1e-3", "null", "a: b"))
    write_settings(tree, tmp_path / "deep" / "x.yaml")
    assert (tmp_path / "deep" / "x.yaml").read_text() == settings_text(tree)
    assert Tree.model_validate(read_document(str(tmp_path / "deep" / "x.yaml"))) == tree


def test_merge_keys_take_over_what_another_part_of_the_file_says() -> None:
    text = "first: &first {steps: 110, lr: 2e-3}\nsecond: {<<: *first, steps: 46}\n"
    assert parse_yaml(text) == {"first": {"steps": 110, "lr": 2e-3}, "second": {"steps": 46, "lr": 2e-3}}
