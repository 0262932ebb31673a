"""Tasks of lmms-eval as they are, its prompts, its marks and its scores, on small files in the published schemas."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import lmms_eval
import pytest
from datasets import Dataset
from datasets import Image as ImageFeature
from PIL import Image

from opabinia.burgess.config import WorldConfig
from opabinia.burgess.world import write_world
from opabinia.data.records import Turn
from opabinia.evaluation.benchmarks.formats.pictures import PublishedPictures
from opabinia.evaluation.benchmarks.formats.registry import published_questions
from opabinia.evaluation.evaluate import evaluate
from opabinia.evaluation.lmms_eval.cv_bench import scores_of_log
from opabinia.models.answering import Prompt, load_answerer
from tests.evaluation.lmms_eval.taught import Lesson, save_taught

pytestmark = pytest.mark.e2e

TASKS = Path(lmms_eval.__file__).parent / "tasks"
WORDS = {"A": "a", "B": "b1", "C": "c1", "D": "d1"}
"""Words that the toy world's language model knows and CV-Bench's task reads as letters."""


class Asked(NamedTuple):
    """A row of a data set, the prompt that its task should make of it, and the right answer as the model can say it."""

    row: dict[str, Any]
    prompt: Prompt
    right: str


class Ran(NamedTuple):
    folder: Path
    results: dict[str, Any]
    cv_bench: list[Asked]
    pope: list[Asked]

    def log(self, task: str) -> Path:
        (found,) = (self.folder / "log").glob(f"**/*_samples_{task}_local.jsonl")
        return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("lmms-eval")
    write_world(WorldConfig(folder=folder / "world", scenes=4, facts=2, benchmark=24, seed=3))
    cv_bench, pope = cv_bench_rows(folder), pope_rows(folder)
    for name, file, asked in (("cv_bench", "cv_bench/cv_bench.yaml", cv_bench), ("pope", "pope/pope.yaml", pope)):
        (folder / name).mkdir()
        rows = Dataset.from_list([one.row for one in asked]).cast_column("image", ImageFeature())
        rows.to_parquet(folder / name / "test.parquet")
        write_task(folder, name, TASKS / file)
    save_taught([lessons(cv_bench), lessons(pope)], folder / "checkpoint")
    return Ran(folder, run(folder, "cv_bench_local,pope_local", batch=5), cv_bench, pope)


def lessons(asked: list[Asked]) -> list[Lesson]:
    """Every third answer is learned wrong, as far as it differs from that to the question before."""
    return [(one.prompt, asked[place - place % 3 // 2].right) for place, one in enumerate(asked)]


def cv_bench_rows(folder: Path) -> list[Asked]:
    asked = list[Asked]()
    for record in read_lines(folder / "world" / "benchmark" / "vision_centric.jsonl"):
        letters = ", ".join("ABCDEFGHIJ"[: len(record["choices"])])
        note = f"Note: You only need to respond with {letters} without providing any additional information.\n"
        prompt = prompted(folder, record, f"{note}\n{record['prompt']}")
        asked.append(Asked(published(folder, record), prompt, WORDS[record["answer"][1]]))
    return asked


def pope_rows(folder: Path) -> list[Asked]:
    asked = list[Asked]()
    for record in read_lines(folder / "world" / "benchmark" / "general.jsonl"):
        if record["task"] == "existence":
            right = record["choices"]["ABCD".index(record["answer"][1])]
            extra = {"question_id": str(record["idx"]), "category": "random", "answer": right}
            text = f"{record['question']}\nAnswer the question using a single word or phrase."
            asked.append(Asked(published(folder, record) | extra, prompted(folder, record, text), right))
    return asked


def read_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def published(folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    content = (folder / "world" / "images" / record["image"]).read_bytes()
    return record | {"image": {"bytes": content, "path": None}}


def prompted(folder: Path, record: dict[str, Any], text: str) -> Prompt:
    picture = Image.open(folder / "world" / "images" / record["image"]).convert("RGB")
    return Prompt((Turn("user", f"<image>\n{text}"),), picture)


def write_task(folder: Path, name: str, task: Path) -> None:
    """lmms-eval's own task, but for where its data are."""
    settings = {"include": str(task), "task": f"{name}_local", "dataset_path": str(folder / name), "dataset_kwargs": {}}
    (folder / "tasks").mkdir(exist_ok=True)
    (folder / "tasks" / f"{name}_local.yaml").write_text(json.dumps(settings))


def run(folder: Path, tasks: str, *, batch: int) -> dict[str, Any]:
    """The command that a user types; nothing is asked of any hub."""
    command = [
        *(sys.executable, "-m", "lmms_eval", "--model", "opabinia"),
        *("--model_args", f"checkpoint={folder / 'checkpoint'}", "--tasks", tasks, "--include_path", str(folder / "tasks")),
        *("--batch_size", str(batch), "--log_samples", "--output_path", str(folder / "log")),
    ]  # fmt: skip
    environment = os.environ | {"HF_HOME": str(folder / "hub"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = (folder / "log").glob("**/*_results.json")
    return json.loads(file.read_text())["results"]


def said(ran: Ran, task: str) -> list[str]:
    return [line["filtered_resps"] for line in read_lines(ran.log(task))]


@pytest.mark.parametrize("task", ["cv_bench", "pope"])
def test_the_logged_answers_are_those_of_the_model_asked_alone(ran: Ran, task: str) -> None:
    answerer = load_answerer(ran.folder / "checkpoint")
    asked: list[Asked] = getattr(ran, task)
    # 64 tokens at least are left behind every prompt, and none of these answers needs them.
    alone = [answerer.answer([one.prompt], max_new_tokens=64)[0].text for one in asked]
    assert said(ran, task) == alone
    assert len(set(alone)) > 1


def test_the_score_of_cv_bench_is_the_share_of_right_letters(ran: Ran) -> None:
    right = [one.right[0] == answer[0] for one, answer in zip(ran.cv_bench, said(ran, "cv_bench"), strict=True)]
    assert 0 < sum(right) < len(right)
    assert ran.results["cv_bench_local"]["cv_bench_acc,none"] == pytest.approx(sum(right) / len(right))


def test_the_benchmarks_own_score_averages_sources_and_halves(ran: Ran) -> None:
    credits: dict[tuple[str, str], list[bool]] = {}
    for one, answer in zip(ran.cv_bench, said(ran, "cv_bench"), strict=True):
        credits.setdefault((one.row["type"], one.row["source"]), []).append(one.right[0] == answer[0])
    means = {place: 100 * sum(found) / len(found) for place, found in credits.items()}
    assert set(means) == {("2D", "flat"), ("2D", "room"), ("3D", "room")}
    two = (means["2D", "flat"] + means["2D", "room"]) / 2
    scores = scores_of_log(ran.log("cv_bench"))
    assert scores.average == pytest.approx((two + means["3D", "room"]) / 2)
    assert scores.average != pytest.approx(100 * ran.results["cv_bench_local"]["cv_bench_acc,none"])


def test_pope_scores_as_it_does_here(ran: Ran) -> None:
    questions = published_questions({"pope": str(ran.folder / "pope" / "test.parquet")})
    own = evaluate(
        load_answerer(ran.folder / "checkpoint"), questions, PublishedPictures(), with_image=True, max_new_tokens=64
    )
    assert [mark.answer for mark in own.answers] == said(ran, "pope")
    theirs = ran.results["pope_local"]
    for name in ("precision", "recall", "f1"):
        found = theirs["pope_f1_score,none" if name == "f1" else f"pope_{name},none"]
        assert 100 * found == pytest.approx(own.scores.parts[f"general/pope/{name}"])
    assert 100 * theirs["pope_accuracy,none"] == pytest.approx(own.scores.tasks["general/pope"])
    assert 0 < theirs["pope_accuracy,none"] < 1
