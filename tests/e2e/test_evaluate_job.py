"""jobs/evaluate.py with answers that are kept: killed, gone on with, and run again, with Ray Data workers and without."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.settings.sva import SvaSettings
from opabinia.burgess.config import WorldConfig
from opabinia.burgess.world import write_world
from opabinia.evaluation.masking.masks_file import load_masks
from opabinia.evaluation.shares.shares_file import load_shares
from opabinia.models.checkpoint import save_checkpoint
from tests.e2e.disturbed import PATIENCE_S, end_all, wait_until
from tests.models.small import ENCODERS, small_model, tokenizer

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small world and a checkpoint of a language model that can read and a connector that has learned nothing."""
    folder = tmp_path_factory.mktemp("evaluate")
    write_world(WorldConfig(folder=folder / "world", scenes=4, facts=2, benchmark=24, seed=1))
    save_checkpoint(small_model(SvaSettings(queries=16)), tokenizer(), folder / "checkpoint")
    return folder


def command(folder: Path, *options: str) -> list[str]:
    world = folder / "world"
    places = ["--benchmark.folder", str(world / "benchmark"), "--benchmark.images", str(world / "images")]
    job = [sys.executable, str(ROOT / "jobs" / "evaluate.py"), "--checkpoint", str(folder / "checkpoint")]
    return [*job, *places, *options]


def evaluate(folder: Path, *options: str) -> str:
    # From elsewhere, since Ray's workers start anywhere.
    done = subprocess.run(command(folder, *options), cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def kept_keys(folder: Path) -> list[str]:
    """Of every whole line, in any order; of an answer that was given twice, twice."""
    lines = [line for log in folder.glob("*.answers.jsonl") for line in log.read_bytes().split(b"\n")[:-1]]
    return [json.loads(line)["key"] for line in lines]


def counted(output: str) -> tuple[int, int]:
    found = re.search(r"answers: (\d+) kept, (\d+) to ask", output)
    assert found, output
    return int(found[1]), int(found[2])


@pytest.fixture(scope="module")
def plain(folder: Path) -> bytes:
    """All answers with the image and without, asked in order in one process."""
    evaluate(folder, "--results", str(folder / "plain"))
    return (folder / "plain" / "answers.json").read_bytes()


def test_kill_9_in_mid_run_loses_no_answer_and_none_is_asked_twice(folder: Path, plain: bytes) -> None:
    kept, results = folder / "kept", folder / "results"
    # Relative paths, too, must reach the workers.
    options = ("--answers", "kept", "--benchmark.batch", "1", "--results", str(results))
    with (folder / "log.txt").open("wb") as log:
        driver = subprocess.Popen(
            command(folder, "--processes", "2", *options), cwd=folder, stdout=log, stderr=log, env=dict(os.environ)
        )
    try:
        wait_until(lambda: len(kept_keys(kept)) >= 5, driver, folder, pause=0.01)
    finally:
        end_all(driver)
    before = kept_keys(kept)
    assert not results.exists()
    known, to_ask = counted(evaluate(folder, "--processes", "2", *options))
    assert known == len(before) and to_ask > 0
    after = kept_keys(kept)
    assert len(after) == len(set(after)) == known + to_ask
    assert (results / "answers.json").read_bytes() == plain
    assert counted(evaluate(folder, *options, "--benchmark.batch", "32")) == (known + to_ask, 0)
    assert (results / "answers.json").read_bytes() == plain


def test_one_process_without_ray_keeps_answers_as_well(folder: Path, plain: bytes) -> None:
    results = folder / "alone"
    known, asked = counted(evaluate(folder, "--answers", str(folder / "alone_kept"), "--results", str(results)))
    assert known == 0 and asked == len(set(kept_keys(folder / "alone_kept")))
    assert (results / "answers.json").read_bytes() == plain


def test_masks_and_shares_are_printed_and_written(folder: Path) -> None:
    results = folder / "inside"
    options = ("--benchmark.limit_per_family", "4", "--results", str(results), "--shares", "--masks")
    output = evaluate(folder, *options)
    assert "CUR of" in output and "share of" in output and "LLM layer 1" in output
    assert load_masks(results / "masks.json").masking == "zero"
    shares = load_shares(results / "shares.json")
    assert (shares.kind, shares.encoders) == ("attention", ENCODERS)
    evaluate(folder, *options, "resample")
    assert load_masks(results / "masks.json").masking == "resample"
