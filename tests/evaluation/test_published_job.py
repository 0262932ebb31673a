"""jobs/evaluate.py on files in published schemas, with a real model of the shipped parts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connectors.settings.sva import SvaSettings
from opabinia.burgess.config import WorldConfig
from opabinia.burgess.world import write_world
from opabinia.evaluation.report import from_json
from opabinia.evaluation.samples import load_answers
from opabinia.models.checkpoint import save_checkpoint
from tests.evaluation.benchmarks.published import write_parquet
from tests.models.small import small_model, tokenizer

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small world, its vision-centric family as CV-Bench is published, and a checkpoint whose connector has learned nothing."""
    folder = tmp_path_factory.mktemp("published")
    write_world(WorldConfig(folder=folder / "world", scenes=4, facts=2, benchmark=24, seed=1))
    lines = (folder / "world" / "benchmark" / "vision_centric.jsonl").read_text().splitlines()
    write_parquet(folder / "cv_bench.parquet", [_published(folder, json.loads(line)) for line in lines], group=5)
    save_checkpoint(small_model(SvaSettings(queries=16)), tokenizer(), folder / "checkpoint")
    return folder


def _published(folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    content = (folder / "world" / "images" / record["image"]).read_bytes()
    fields = {name: value for name, value in record.items() if name != "family"}
    return fields | {"image": {"bytes": content, "path": None}}


def evaluate(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    world = folder / "world"
    places = ["--benchmark.folder", str(world / "benchmark"), "--benchmark.images", str(world / "images")]
    command = [sys.executable, "jobs/evaluate.py", "--checkpoint", str(folder / "checkpoint"), *places, *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def row(output: str, name: str) -> list[str]:
    (line,) = (line for line in output.splitlines() if line.startswith(name) and ":" not in line)
    return line.split()[1:]


def test_a_published_file_scores_like_the_same_questions_in_a_folder(folder: Path) -> None:
    files = json.dumps({"cv_bench": str(folder / "cv_bench.parquet")})
    results = folder / "results"
    published = evaluate(folder, "--benchmark.files", files, "--benchmark.prompt", "text", "--results", str(results))
    assert published.returncode == 0, published.stderr
    halves = [row(published.stdout, f"CV-Bench^{half}") for half in ("2D", "3D")]
    assert [half[:2] for half in halves] == [["vision_centric", "16"], ["vision_centric", "8"]]
    assert all(half[-2:] == ["text", "choice-match-2"] for half in halves)
    plain = evaluate(folder, "--benchmark.families", "[vision_centric]", "--masks", "true")
    assert plain.returncode == 0, plain.stderr
    average, blind, random = row(published.stdout, "average")[:3]
    (scored,) = (line.split() for line in plain.stdout.splitlines() if line.startswith("1 "))
    assert scored[-4:-1] == [average, blind, random]
    report = from_json((results / "report.json").read_text())
    assert [f"{record.scaled:.1f}" for record in report.benchmarks] == [half[3] for half in halves]
    assert len(load_answers(results / "answers.json")) == 24
    # The whole model among the subsets of its encoders is the model.
    assert row(plain.stdout, "caption-vit + dense-convnext")[-2:] == [average, average]
    assert "CUR of" in plain.stdout


def test_a_file_that_is_wrong_ends_the_job_with_one_line(folder: Path) -> None:
    (folder / "broken.jsonl").write_text('{"idx": 0, "type": "2D"}\n')
    refused = evaluate(folder, "--benchmark.files", json.dumps({"cv_bench": str(folder / "broken.jsonl")}))
    assert refused.returncode == 2
    assert (
        refused.stderr.strip()
        .splitlines()[-1]
        .endswith("broken.jsonl row 1: choices is missing or empty; fetch the file again")
    )
