"""A small sweep that has ended, as the page is given it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from opabinia.command_line import load_settings
from opabinia.evaluation.evaluate import Evaluation, Judged
from opabinia.evaluation.questions import Question
from opabinia.evaluation.samples import save_answers
from opabinia.evaluation.scoring import family_scores
from opabinia.experiment import Experiment
from opabinia.runs import sweep_runs
from opabinia.sweeps.page.shown import ShownTrial
from opabinia.training.inputs import TrainingInputs, save_inputs
from opabinia.training.run import RunConfig
from tests.evaluation.specimens import question, report, scores

QUICKSTART = Path(__file__).parents[3] / "jobs" / "experiments" / "quickstart.yaml"


def write_experiment(folder: Path, **changes: Any) -> Path:
    """The quickstart's experiment as a sweep writes it, with a benchmark of its own."""
    document = {**yaml.safe_load(QUICKSTART.read_text()), **changes}
    document["benchmark"]["images"] = str(folder)
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def runs_of(settings: Path) -> list[RunConfig]:
    experiment = load_settings(Experiment, ["--config", str(settings)], description="", default_file=settings)
    inputs = settings.parent / "inputs.json"
    save_inputs(TrainingInputs(tokenizer=Path(), audits={}, rejected={}, benchmark_keys={}, features=None), inputs)
    runs, _ = sweep_runs(experiment, inputs)
    return runs


def trial(run: RunConfig, folder: Path, score: float, answer: str = "red") -> ShownTrial:
    checkpoint = folder / run.name
    checkpoint.mkdir()
    questions = [question(number, image="picture.png") for number in range(3)]
    Image.new("RGB", (8, 8), "red").save(folder / "picture.png")
    save_answers(checkpoint / "answers.json", evaluation(questions, answer), evaluation(questions, "blue"))
    seen = report(run.name, encoders=run.model.encoders, with_image=scores(*[score] * 4), blind=scores(*[30.0] * 4))
    curve = [{"step": step, "loss": 2.0 / step} for step in range(1, 21)]
    return ShownTrial(run, seen, curve, checkpoint)


def evaluation(questions: list[Question], *answers: str) -> Evaluation:
    """Each question's answer, or one for all; red is right."""
    given = answers * len(questions) if len(answers) == 1 else answers
    judged = tuple(Judged(*pair, pair[1] == "red") for pair in zip(questions, given, strict=True))
    marks = [one.correct for one in judged]
    return Evaluation(family_scores(questions, marks), judged, True, "text", "choice-match-2", 1, 0.0)
