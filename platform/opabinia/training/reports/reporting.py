"""What a run tells at its reports: the score of the model of that moment, its curve, and a checkpoint to evaluate and serve."""

from __future__ import annotations

import tempfile
from pathlib import Path

import ray.train
import torch
from ray.train import Checkpoint as ReportedCheckpoint

from opabinia.evaluation.report import to_json
from opabinia.evaluation.samples import save_answers
from opabinia.models.answering import ModelAnswerer
from opabinia.models.checkpoint import save_checkpoint
from opabinia.models.lora import merged
from opabinia.training.assembly import Parts
from opabinia.training.reports.card import record_training
from opabinia.training.reports.progress import Progress
from opabinia.training.reports.scorer import Scored


def report(parts: Parts, progress: Progress) -> None:
    """Every worker must call this at the same step, but only the first has something to say."""
    progress.reports += 1
    curve = progress.take_curve()
    learner = parts.scored.now()
    if parts.share.worker != 0:
        ray.train.report({})
        return
    answerer = ModelAnswerer(learner.model, parts.tokenizer, parts.features.through(learner.encoders_by_id).of_prompts)
    scored = _score(parts, progress, answerer)
    metrics = {
        "score": scored.report.score,
        "reports": progress.reports,
        "report": to_json(scored.report),
        "curve": curve,
        "start_up_seconds": (progress.first_step_at or progress.started) - progress.started,
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "checkpoint"
        with merged(learner.model.language_model):
            save_checkpoint(learner.model, parts.tokenizer, folder, learner.encoders_by_id)
        record_training(folder, parts.run, scored.report, progress.position)
        save_answers(folder / "answers.json", scored.with_image, scored.blind)
        parts.scored.rest()
        ray.train.report(metrics, checkpoint=ReportedCheckpoint.from_directory(folder))


def _score(parts: Parts, progress: Progress, answerer: ModelAnswerer) -> Scored:
    run = parts.run
    # Answers have every length, and are few.
    with torch.compiler.set_stance("force_eager"):
        seen, blind = parts.scorer.ask(answerer)
        return parts.scorer.scored(
            seen,
            blind,
            run.name,
            run.model.encoders,
            run.connector_label,
            seed=run.seed,
            # A run that is cut off at its next report has the status of this one.
            status="finished" if progress.reports == run.reports else "stopped",
            steps=progress.steps,
            seconds=progress.seconds,
        )
