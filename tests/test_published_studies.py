"""The files of the published studies: what they compare is what was published, and it can be planned before any data are here."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from statistics import fmean

import pytest

from jobs.prepare_data import PrepareSettings
from opabinia.command_line import parse_settings
from opabinia.data.curation.settings import published_presets
from opabinia.evaluation.benchmarks.catalogue import BENCHMARKS
from opabinia.evaluation.questions import FAMILIES
from opabinia.experiment import Experiment
from opabinia.preparation import check_sweep, used_sources
from opabinia.runs import sweep_runs
from opabinia.studies.config import Side, StudyConfig
from opabinia.sweep_plan import plan_experiment
from opabinia.sweeps.planning.machines import Machines
from opabinia.sweeps.space import trials
from opabinia.training.run import RunConfig

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "jobs" / "experiments"

TRIALS = {
    "bench_blind": 23,
    # Of 23 encoders and 7 ensembles, each in one stage and in two.
    "bench_pca": 60,
    "encoder_zoo": 23,
    # The paper has 72 of them: 23 in one stage, 18 with half the captions, 18 with all, 13 unfrozen. A grid has all 23 by 4.
    "recipe_grid": 92,
    "clip_vs_dino": 8,
    "ensembles": 7,
    "connectors_a": 4,
    # Depth 2 to 4, 1 to 3 groups, without layers inside and with: 8 cells, three of which are one model.
    "connectors_b": 6,
    "connectors_c": 4,
    "attn_share": 1,
    "data_threshold": 4,
    "data_ratio": 5,
    "mix_quality": 3,
    "answer_machine": 2,
    "eagle_hires": 4,
    "eagle_fusion": 10,
    "eagle_prealign": 6,
    # Sets of a pool of six that hold the first pair; a selection comes to 1 + 4 + 3 + 2 + 1 of them at most.
    "eagle_roundrobin": 16,
    "encoder_mask_cur": 1,
    "final_8b": 1,
    "final_13b": 1,
    "final_34b": 1,
    "eagle_x4": 1,
    "eagle_x5": 1,
}
"""Study -> trials, counted by hand."""

PREPARED = ("data_threshold", "data_ratio", "mix_quality", "answer_machine", "clip_vs_dino")
"""Studies with data sets of their own."""

AUDIT = "leak_audit"
"""A study that trains nothing."""

OURS = {"quickstart", "prepare_example", "instructions_captions", "instructions_pages"}
"""Files beside the studies."""

TPU_V4_128 = {"hardware": "xla", "count": 16, "topology": "4x4x4", "accelerator_type": "TPU-V4"}
HOST = {"CPU": 120.0, "TPU": 4.0, "accelerator_type:TPU-V4": 1.0}


@lru_cache(maxsize=64)
def experiment(study: str) -> Experiment:
    return parse_settings(Experiment, ["--config", str(FOLDER / f"{study}.yaml")])


@lru_cache(maxsize=64)
def preparation(file: str) -> PrepareSettings:
    return parse_settings(PrepareSettings, ["--config", str(FOLDER / f"{file}.yaml")])


@lru_cache(maxsize=64)
def runs(study: str) -> dict[str, RunConfig]:
    """By configuration; every trial's settings agree with each other."""
    asked = experiment(study)
    records = {name: asked.data.sources[name].records or 0 for name in used_sources(asked)}
    found, left_out = sweep_runs(asked, Path("inputs.json"), records)
    assert not left_out
    return {run.name.removesuffix(".s0"): run for run in found}


def published(study: str) -> StudyConfig:
    found = experiment(study).study
    assert found is not None
    return found


def head(file: Path) -> str:
    return "\n".join(line for line in file.read_text().split("\n\n")[0].splitlines() if line.startswith("#"))


def test_every_published_study_has_a_file_and_one_that_runs_on_a_laptop() -> None:
    studies = {*TRIALS, AUDIT}
    assert {file.stem for file in FOLDER.glob("*.yaml")} == studies | OURS
    assert {file.stem for file in (FOLDER / "burgess").glob("*.yaml")} >= studies


@pytest.mark.parametrize("study", [*TRIALS, AUDIT])
def test_its_head_says_how_it_is_run_and_what_was_published(study: str) -> None:
    text = head(FOLDER / f"{study}.yaml")
    for label in ("Study", "Command", "Hardware", "Published", "Tolerance"):
        assert re.search(rf"^# {label}: +\S", text, re.MULTILINE), label
    jobs, files = re.findall(r"python (jobs/\S+\.py)", text), re.findall(r"--config (\S+\.yaml)", text)
    assert jobs
    assert f"jobs/experiments/{study}.yaml" in files
    assert all((ROOT / place).is_file() for place in (*jobs, *files))


@pytest.mark.parametrize("study", TRIALS)
def test_it_has_as_many_trials_as_the_study(study: str) -> None:
    sweep = experiment(study).sweep
    assert sweep is not None
    assert len(trials(sweep)) == TRIALS[study] == len(runs(study))


@pytest.mark.parametrize("study", TRIALS)
def test_its_encoders_exist_and_its_results_are_its_own(study: str) -> None:
    asked = experiment(study)
    assert check_sweep(asked)
    assert (asked.name, asked.output) == (study, Path("runs") / study)


@pytest.mark.parametrize("study", TRIALS)
def test_it_is_scored_on_all_sixteen_columns(study: str) -> None:
    columns = {name: benchmark for name, benchmark in BENCHMARKS.items() if benchmark.averaged}
    assert len(columns) == 16
    assert {benchmark.file for benchmark in columns.values()} <= experiment(study).benchmark.files.keys()


@pytest.mark.parametrize("study", TRIALS)
def test_published_averages_are_those_of_the_published_families(study: str) -> None:
    for values in published(study).published.values():
        if {"average", *FAMILIES} <= values.keys():
            assert values["average"] == pytest.approx(fmean(values[family] for family in FAMILIES), abs=0.06)


def test_published_families_are_those_of_the_published_benchmarks() -> None:
    """The table of ensembles has every column."""
    checked = 0
    for values in published("ensembles").published.values():
        for family in FAMILIES:
            columns = [name for name, one in BENCHMARKS.items() if one.category == family and one.averaged]
            assert values[family] == pytest.approx(fmean(values[column] for column in columns), abs=0.011)
            checked += len(columns)
    assert checked == 7 * 16


@pytest.mark.parametrize("study", TRIALS)
def test_the_differences_that_findings_state_are_those_of_the_published_numbers(study: str) -> None:
    found = published(study)

    def number(side: Side, column: str) -> float | None:
        whole = side.asked == "image" and side.keeps is None
        return found.published.get(side.configuration or "", {}).get(column) if whole else None

    for finding in found.findings:
        better, than = number(finding.better, finding.on), number(finding.than, finding.on)
        if better is not None and than is not None:
            assert finding.by == pytest.approx(better - than, abs=0.011), finding.says
            assert better > than or abs(better - than) < (finding.within or 0), finding.says


def test_all_72_numbers_of_the_recipes_are_there() -> None:
    numbers = published("recipe_grid").published
    by_recipe = {recipe: sum(name.endswith(f",{recipe}") for name in numbers) for recipe in variants("recipe_grid")}
    assert by_recipe == {"one_stage": 23, "two_stage_half": 18, "two_stage": 18, "two_stage_unfrozen": 13}
    zoo = {name: values["average"] for name, values in published("encoder_zoo").published.items()}
    assert zoo == {name: numbers[f"{name},two_stage"]["average"] for name in zoo}


def variants(study: str) -> list[str]:
    sweep = experiment(study).sweep
    assert sweep is not None
    return list(sweep.variants)


def test_recipes_train_as_published() -> None:
    one, half, two, unfrozen = (runs("recipe_grid")[f"clip-l-336.mlp2x_gelu,{v}"] for v in variants("recipe_grid"))
    # 1.2 M, 558 K and 737 K in batches of 512 (Tong et al. 2024, appendix).
    assert [[stage.steps for stage in run.stages] for run in (one, half, two)] == [[1440], [1090, 1440], [2344, 1440]]
    assert [(stage.lr, stage.batch, stage.base_batch) for stage in two.stages] == [(1e-3, 512, 512), (2e-5, 512, 512)]
    assert all("encoders" not in stage.trains for run in (one, half, two) for stage in run.stages)
    assert [stage.learning_rates.get("encoders") for stage in unfrozen.stages] == [None, 1e-5]


def test_the_final_models_are_the_released_ones() -> None:
    (eight,), (large,) = (tuple(runs(study).values()) for study in ("final_8b", "final_34b"))
    assert eight.model.connector.model_dump(include={"in_llm_stride", "in_llm_count", "depth", "width"}) == {
        "in_llm_stride": 3, "in_llm_count": 10, "depth": 3, "width": 1024,
    }  # fmt: skip
    assert [(stage.batch, stage.lr) for stage in eight.stages] == [(512, 1e-3), (512, 4e-5)]
    assert [(stage.batch, stage.lr, stage.base_batch) for stage in large.stages] == [
        (1024, 1e-3, 1024),
        (1024, 2e-5, 1024),
    ]


@pytest.mark.parametrize("study", ["final_8b", "final_13b", "final_34b", "eagle_x4", "eagle_x5"])
def test_a_single_model_is_the_same_for_a_run_and_for_a_sweep(study: str) -> None:
    (run,) = runs(study).values()
    assert (experiment(study).encoders, experiment(study).connector) == (run.model.encoders, run.model.connector)


def test_every_encoder_of_eagle_is_aligned_alone_before_all_are_joined() -> None:
    (run,) = runs("eagle_x5").values()
    assert [stage.alone for stage in run.stages] == [*run.model.encoders, None, None]


@pytest.mark.parametrize("study", PREPARED)
def test_the_data_of_a_study_are_what_its_preparation_leaves(study: str) -> None:
    made = preparation(f"preparation/{study}")
    assert made.output == Path("runs/prepared") / study
    sources = experiment(study).data.sources
    own = {name: source for name, source in sources.items() if source.shards.startswith("runs/prepared/")}
    assert own.keys() == made.sets.keys()
    for name, source in own.items():
        assert source.shards == f"{made.output}/{name}/newest"
        assert source.images == made.sets[name].images
    assert f"--config jobs/experiments/preparation/{study}.yaml" in head(FOLDER / f"{study}.yaml")


@pytest.mark.parametrize("study", ["data_threshold", "data_ratio"])
def test_data_are_as_many_and_score_as_the_curations_say_that_they_are_of(study: str) -> None:
    for name, chosen in preparation(f"preparation/{study}").sets.items():
        assert chosen.curation is not None
        preset = published_presets()[chosen.curation.preset or ""]
        assert experiment(study).data.sources[name].records == preset.published.records
        average = published(study).published[f"clip-l-336.mlp2x_gelu,{name}"]["average"]
        assert average == preset.published.average


def test_the_final_models_learn_from_what_the_study_of_mixes_prepares() -> None:
    made = preparation("preparation/mix_quality")
    assert made.sets["cambrian_7m"].system_prompts is not None
    assert experiment("final_8b").data.sources["instruction"].shards == f"{made.output}/cambrian_7m/newest"


def test_the_audit_compares_three_sets_with_every_benchmark() -> None:
    audit = preparation(AUDIT)
    assert audit.leakage is not None
    assert audit.leakage.distance == 0
    assert audit.leakage.benchmarks.keys() == experiment("encoder_zoo").benchmark.files.keys()
    assert list(audit.sets) == ["data_engine", "cambrian_10m", "llava_665k"]


# Of what the studies train, these lack eagle/clip-l-336 and the resampler alone. Planning all 24 takes minutes, these six half a one.
@pytest.mark.e2e
@pytest.mark.parametrize(
    "study", ["encoder_zoo", "connectors_c", "eagle_fusion", "eagle_prealign", "final_34b", "data_ratio"]
)
def test_it_is_planned_where_neither_data_nor_weights_are(study: str) -> None:
    asked = experiment(study)
    workers = asked.workers.model_copy(update=TPU_V4_128)
    host = {"Alive": True, "Resources": HOST, "Labels": {}}
    plan = plan_experiment(asked.model_copy(update={"workers": workers}), None, Machines((host,) * 16))
    assert not plan.left_out
    assert plan.trials == TRIALS[study]
    assert plan.demand.devices == 64
    assert plan.device == "TPU-V4"
    assert (plan.device_hours or 0) > 100
    assert any("assumed" in line for line in plan.workloads.assumptions)
