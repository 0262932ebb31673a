"""What is told of the batches of skipped steps."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from opabinia.data.arrow import pa
from opabinia.training.safeguards.guard import Verdict
from opabinia.training.safeguards.skipped_steps import ROW_COLUMNS, SkippedPart, SkippedSteps

SPIKE = Verdict("the loss is 9, where 2 is usual", None, 2.0, 0.5)
SAMPLES = [
    [{"file": "s3://b/one.jsonl", "line": 7, "id": "é-7"}],
    [{"file": "s3://b/one.jsonl", "line": 2, "id": "a"}, {"file": "s3://b/two.jsonl", "line": 9, "id": "b"}],
]


def parts() -> list[SkippedPart]:
    """Two rows, the second of two packed samples, as the stream gives them."""
    names = pa.list_(pa.struct([("file", pa.string()), ("line", pa.int64()), ("id", pa.string())]))
    table = pa.table(
        {
            "samples": pa.array(SAMPLES, names),
            "images": pa.array([["p/1.png"], []], pa.list_(pa.string())),
            "image_keys": pa.array([["ab"], []], pa.list_(pa.string())),
        }
    )
    return [SkippedPart(math.nan, table.select(ROW_COLUMNS).to_pylist())]


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_each_worker_tells_its_samples_and_pictures_in_one_line_of_json(tmp_path: Path) -> None:
    for worker in range(2):
        SkippedSteps(str(tmp_path), 1, "tune", worker).record(12, math.inf, 3.5, SPIKE, parts())
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [f"stage-01-step-00000012-worker-0000{worker}.jsonl" for worker in range(2)]
    for worker, file in enumerate(files):
        (line,) = file.read_text().splitlines()
        assert json.loads(line, parse_constant=refuse) == {
            "stage": "tune",
            "step": 12,
            "worker": worker,
            "reason": SPIKE.reason,
            "loss": "inf",
            "gradient_norm": 3.5,
            "usual_loss": 2.0,
            "usual_gradient_norm": 0.5,
            "parts": [
                {
                    "loss": "nan",
                    "rows": [
                        {"samples": SAMPLES[0], "images": ["p/1.png"], "image_keys": ["ab"]},
                        {"samples": SAMPLES[1], "images": [], "image_keys": []},
                    ],
                }
            ],
        }


def test_a_step_that_is_made_again_after_a_failure_is_told_once(tmp_path: Path) -> None:
    steps = SkippedSteps(str(tmp_path), 0, "align", 0)
    first = steps.record(3, math.nan, 1.0, SPIKE, parts())
    assert steps.record(3, math.nan, 1.0, SPIKE, parts()) == first
    assert len(list(tmp_path.iterdir())) == 1


def test_a_run_that_is_stopped_says_where_to_look_and_what_to_do(tmp_path: Path) -> None:
    verdict = Verdict("the loss is nan", "more than 10 steps in a row (guard.in_a_row) were skipped", 2.0, 0.5)
    text = str(SkippedSteps(str(tmp_path), 1, "tune", 0).stopped(40, verdict))
    assert text == (
        "stages: tune stopped at step 40, because more than 10 steps in a row (guard.in_a_row) were skipped, this one since the "
        f"loss is nan (2 is the usual loss); look at their samples in {tmp_path} and correct the data, or lower the stage's "
        "learning rates, or raise the limit"
    )


def test_nothing_usual_is_said_so(tmp_path: Path) -> None:
    verdict = Verdict("the loss is nan", "more than 0 steps in a row (guard.in_a_row) were skipped", None, None)
    assert "(nothing is usual yet)" in str(SkippedSteps(str(tmp_path), 0, "s", 0).stopped(1, verdict))


def test_records_that_cannot_be_written_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ValueError, match="taken"):
        SkippedSteps(str(tmp_path / "taken"), 0, "s", 0).record(1, math.nan, 1.0, SPIKE, parts())
