"""A settings file that begins from another says only what is its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opabinia.command_line.bases import laid_over, read_layers
from opabinia.command_line.settings import parse_settings
from opabinia.config import Config


class Part(Config):
    size: int = 1
    names: tuple[str, ...] = ()


class Whole(Config):
    name: str
    part: Part = Part()
    other: Part = Part()


def written(folder: Path, **files: str) -> str:
    """Write the files, each by its name, and return the path of the first."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return str(folder / f"{next(iter(files))}.yaml")


def document(file: str) -> dict[str, Any]:
    return laid_over(read_layers(file))


def mistake_of(*argv: str) -> str:
    with pytest.raises(ValueError) as caught:
        parse_settings(Whole, argv)
    return str(caught.value)


def test_its_fields_lie_over_those_of_its_base_key_by_key(tmp_path: Path) -> None:
    file = written(tmp_path, own="base: far.yaml\npart: {size: 3}\n", far="name: far\npart: {size: 2, names: [a]}\n")
    assert document(file) == {"name": "far", "part": {"size": 3, "names": ["a"]}}


def test_a_list_takes_the_place_of_the_whole_list(tmp_path: Path) -> None:
    file = written(tmp_path, own="base: far.yaml\npart: {names: [c]}\n", far="part: {names: [a, b]}\n")
    assert document(file) == {"part": {"names": ["c"]}}


def test_a_null_takes_the_place_of_a_group(tmp_path: Path) -> None:
    file = written(tmp_path, own="base: far.yaml\npart: null\n", far="part: {names: [a, b]}\n")
    assert document(file) == {"part": None}


def test_a_dictionary_of_another_type_inherits_nothing(tmp_path: Path) -> None:
    far = "connector: {type: sva, depth: 3}\nsearch: {type: random, samples: 4}\n"
    file = written(tmp_path, own="base: far.yaml\nconnector: {type: mlp}\nsearch: {type: random, seed: 1}\n", far=far)
    assert document(file) == {"connector": {"type": "mlp"}, "search": {"type": "random", "samples": 4, "seed": 1}}


def test_bases_have_bases_and_each_path_begins_at_the_file_that_it_stands_in(tmp_path: Path) -> None:
    written(tmp_path / "deep", far="base: ../world.yaml\na: 2\n")
    file = written(tmp_path, own="base: deep/far.yaml\n", world="a: 1\nb: 1\n")
    assert document(file) == {"a": 2, "b": 1}


def test_flags_lie_over_all_of_them(tmp_path: Path) -> None:
    file = written(tmp_path, own="base: far.yaml\npart: {size: 3}\n", far="name: far\n")
    assert parse_settings(Whole, ["--config", file, "--part.size", "5"]) == Whole(name="far", part=Part(size=5))


def test_a_mistake_names_the_file_that_it_stands_in(tmp_path: Path) -> None:
    file = written(tmp_path, own="base: far.yaml\npart: {size: x}\n", far="name: far\nother: {size: y, sise: 1}\n")
    lines = mistake_of("--config", file).splitlines()
    own, far = f"{tmp_path}/own.yaml", f"{tmp_path}/far.yaml"
    assert [line.split(": ")[0] for line in lines] == [own, far, far]
    assert [line.split(": ")[1] for line in lines] == ["part.size", "other.size", "other.sise"]


def test_a_mistake_in_a_list_names_the_file_whose_list_counts(tmp_path: Path) -> None:
    file = written(tmp_path, own="base: far.yaml\npart: {names: [[]]}\n", far="name: far\npart: {names: [a, b]}\n")
    assert mistake_of("--config", file).startswith(f"{tmp_path}/own.yaml: part.names.0: ")


def test_what_no_file_says_is_missing_from_the_one_that_was_given(tmp_path: Path) -> None:
    file = written(tmp_path, own="base: far.yaml\n", far="part: {}\n")
    assert mistake_of("--config", file) == f"{tmp_path}/own.yaml: name: required, but not given"


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ("base: gone.yaml\n", "base: {0}/gone.yaml does not exist; correct the path, which begins here"),
        ("base: 3\n", "base: expected the path of a settings file, got '3'"),
        ("base: own.yaml\n", "base: {0}/own.yaml begins from this file itself; break the circle"),
    ],
)
def test_a_base_that_cannot_be_is_one_line(tmp_path: Path, own: str, says: str) -> None:
    assert mistake_of("--config", written(tmp_path, own=own)) == f"{tmp_path}/own.yaml: {says.format(tmp_path)}"


def test_a_mistake_of_syntax_in_a_base_names_that_base(tmp_path: Path) -> None:
    file = written(tmp_path, own="base: far.yaml\n", far="a: [\n")
    assert mistake_of("--config", file).startswith(f"{tmp_path}/far.yaml: line ")
