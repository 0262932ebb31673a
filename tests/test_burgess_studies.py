"""Every published study has a variant in the toy world that trains in minutes on two cores."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.prepare_data import PrepareSettings
from opabinia.command_line.settings import parse_settings
from opabinia.encoders.catalogue import find_encoder
from opabinia.experiment import Experiment
from opabinia.preparation import check_sweep
from opabinia.sweeps.space import trials

EXPERIMENTS = Path(__file__).parents[1] / "jobs" / "experiments"
BURGESS = EXPERIMENTS / "burgess"
NOT_STUDIES = {"quickstart", "prepare_example", "instructions_captions", "instructions_pages"}
PREPARED = ("answer_machine", "data_ratio", "data_threshold", "leak_audit", "mix_quality")
TRAINED = sorted(file.stem for file in BURGESS.glob("*.yaml") if file.stem != "leak_audit")


def experiment(study: str) -> Experiment:
    return parse_settings(Experiment, ["--config", str(BURGESS / f"{study}.yaml")])


def preparation(study: str) -> PrepareSettings:
    folder = BURGESS if study == "leak_audit" else BURGESS / "preparation"
    return parse_settings(PrepareSettings, ["--config", str(folder / f"{study}.yaml")])


def test_every_published_study_has_one() -> None:
    published = {file.stem for file in EXPERIMENTS.glob("*.yaml")} - NOT_STUDIES
    assert published == {file.stem for file in BURGESS.glob("*.yaml")}


@pytest.mark.parametrize("study", TRAINED)
def test_it_trains_burgess_encoders_alone_in_a_folder_of_its_own(study: str) -> None:
    one = experiment(study)
    assert one.name == f"burgess-{study.replace('_', '-')}"
    assert one.output == Path("runs/burgess") / study
    assert all(find_encoder(encoder).id.startswith("burgess/") for encoder in check_sweep(one))
    assert one.language_model == "burgess/language-model"


@pytest.mark.parametrize("study", TRAINED)
def test_a_trial_is_minutes_and_nothing_stops_it_early(study: str) -> None:
    one = experiment(study)
    assert one.sweep is not None
    assert one.sweep.scheduler is None
    assert len(trials(one.sweep, one.seed)) <= 36
    for stages in one.swept_stages.values():
        assert sum(stage.steps or 0 for stage in stages) <= 530
        assert all(stage.batch * (stage.steps or 0) <= 64 * 300 for stage in stages)


@pytest.mark.parametrize("study", TRAINED)
def test_what_is_said_of_a_study_is_trained_with_three_seeds(study: str) -> None:
    one = experiment(study)
    assert one.study is not None and one.sweep is not None
    assert one.sweep.repeats == (3 if one.study.findings or one.study.measures else 1)


@pytest.mark.parametrize("study", PREPARED)
def test_data_are_prepared_where_the_study_reads_them(study: str) -> None:
    prepared = preparation(study)
    if study == "leak_audit":
        assert prepared.leakage is not None
        return
    sources = experiment(study).data.sources
    assert {f"{prepared.output}/{name}/newest" for name in prepared.sets} <= {each.shards for each in sources.values()}


@pytest.mark.parametrize("file", sorted(BURGESS.glob("*.yaml")), ids=lambda file: file.stem)
def test_its_head_says_what_it_asks_and_how_it_is_run(file: Path) -> None:
    head = file.read_text().split("\n\n", 1)[0]
    assert "# Study:  " in head and "# Hardware:" in head
    assert f"--config jobs/experiments/burgess/{file.name}" in head
