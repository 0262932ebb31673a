"""What a study reports is written beside what it trains, and is checked before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.command_line.settings import parse_settings
from opabinia.experiment import Experiment
from opabinia.studies.config import Finding, Side, StudyConfig

QUICKSTART = Path(__file__).parents[2] / "jobs" / "experiments" / "quickstart.yaml"


def experiment(study: str) -> Experiment:
    return parse_settings(Experiment, ["--config", str(QUICKSTART), "--study", f"{{source: paper, {study}}}"])


def test_a_name_alone_is_that_configuration_with_the_image() -> None:
    assert Side.model_validate("caption-vit.sva") == Side(configuration="caption-vit.sva")


@pytest.mark.parametrize(
    ("side", "text"),
    [
        (Side(configuration="a.sva"), "a.sva"),
        (Side(), "all configurations"),
        (Side(configuration="a.sva", asked="blind"), "a.sva, blind"),
        (Side(configuration="a+b.sva", keeps=("b",)), "a+b.sva, keeping b"),
        (Side(configuration="a+b.sva", keeps=()), "a+b.sva, keeping none"),
    ],
)
def test_a_side_reads_as_what_it_is(side: Side, text: str) -> None:
    assert str(side) == text


@pytest.mark.parametrize("side", [{"keeps": ["a"]}, {"configuration": "a.sva", "asked": "blind", "keeps": ["a"]}])
def test_encoders_are_left_out_of_one_model_that_sees_the_image(side: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="keeps: encoders of one configuration are left out, asked with the image"):
        Side.model_validate(side)


def test_all_that_is_spoken_of_is_known_by_name() -> None:
    finding = Finding(says="it", better=Side(configuration="a"), than=Side(asked="blind"))
    assert StudyConfig(source="paper", published={"b": {"average": 1.0}}, findings=(finding,)).names() == {"a", "b"}


@pytest.mark.parametrize(
    ("study", "says"),
    [
        ("published: {caption-vit.sva: {avarage: 50}}", "unknown column 'avarage'; did you mean 'average'?"),
        ("findings: [{says: it, better: a.sva, than: b.sva, on: vision}]", "unknown column 'vision'; did you mean"),
        ("published: {caption-vit.svb: {average: 50}}", "study: unknown configuration 'caption-vit.svb'; did you mean"),
        ("findings: [{says: it, better: caption-vit.sva, than: mim.sva}]", "study: unknown configuration 'mim.sva'"),
    ],
)
def test_what_the_sweep_does_not_train_is_one_line(study: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        experiment(study)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_study_without_a_sweep_is_one_line() -> None:
    with pytest.raises(ValueError, match="study: is about a sweep, and there is none"):
        parse_settings(Experiment, ["--config", str(QUICKSTART), "--sweep", "null", "--study.source", "paper"])
