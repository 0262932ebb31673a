"""What each Ray Train worker does: the story of one run, from base weights to a scored checkpoint."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import ray.train
import ray.train.torch
import torch
from ray.train import Checkpoint

from opabinia.data.audited import open_audited
from opabinia.data.streaming.plan import Share, StreamPlan
from opabinia.data.streaming.reading import MoreColumns
from opabinia.data.streaming.stream import Streamed, stream_batches
from opabinia.data.trainable import TextEncoding
from opabinia.evaluation.report import to_json
from opabinia.evaluation.samples import save_answers
from opabinia.models.answering import ModelAnswerer
from opabinia.models.checkpoint import save_checkpoint
from opabinia.models.language_models import load_language_model, load_tokenizer
from opabinia.models.multimodal import MultimodalModel
from opabinia.training.card import record_training
from opabinia.training.inputs import TrainingInputs, load_inputs
from opabinia.training.loop import Step, train_stage
from opabinia.training.run import RunConfig
from opabinia.training.scorer import Scorer, open_scorer
from opabinia.training.stages import StageConfig
from opabinia.training.visual_features import open_features


@dataclass
class Progress:
    """Where a run stands: steps over all stages, and the curve since the last report."""

    started: float
    steps: int = 0
    reports: int = 0
    first_step_at: float | None = None
    curve: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def add(self, stage: StageConfig, step: Step) -> None:
        self.first_step_at = self.first_step_at or time.time() - step.step_seconds
        self.steps += 1
        point = {
            "step": self.steps,
            "loss": step.loss,
            f"loss/{stage.name}": step.loss,
            "data_seconds": step.data_seconds,
        }
        self.curve.append({**point, "step_seconds": step.step_seconds, **step.rates})


def train_worker(settings: dict[str, Any]) -> None:
    """Run by Ray Train with {"run": RunConfig as JSON, "asked_at": when the run was asked for, seconds since the epoch}."""
    run = RunConfig.model_validate_json(settings["run"])
    torch.set_num_threads(run.workers.threads)
    torch.manual_seed(run.seed)
    inputs = load_inputs(run.inputs)
    tokenizer = load_tokenizer(str(inputs.tokenizer))
    model = MultimodalModel(run.model, load_language_model(run.model.language_model))
    workers = ray.train.get_context().get_world_size()
    wrapped = ray.train.torch.prepare_model(model) if workers > 1 else model
    scorer = open_scorer(run.benchmark, inputs.benchmark_keys if inputs.features else None)
    pad_id = cast("int | None", tokenizer.pad_token_id) or 0
    progress = Progress(started=settings["asked_at"])
    features = open_features(inputs, run.model.encoders, memory_mib=run.cache.memory_mib)
    for place, stage in enumerate(run.stages):
        batches = _batches(run, place, inputs, model, pad_id, features.more)
        for step in train_stage(model, wrapped, stage, batches, features):
            progress.add(stage, step)
            if step.number in report_steps(stage):
                _report(run, ModelAnswerer(model, tokenizer, features.of_prompts), scorer, progress)


def report_steps(stage: StageConfig) -> frozenset[int]:
    """The steps of a stage after which the run reports: evenly spaced, the last one included."""
    return frozenset(round(stage.steps * (index + 1) / stage.reports) for index in range(stage.reports))


def _batches(
    run: RunConfig, place: int, inputs: TrainingInputs, model: MultimodalModel, pad_id: int, more: MoreColumns | None
) -> Iterator[Streamed]:
    stage, context = run.stages[place], ray.train.get_context()
    plan = StreamPlan(
        open_audited(inputs.audits[stage.data]),
        seed=run.seed * 1000 + place,
        batch=stage.batch,
        batching=stage.batching,
        visual_tokens=model.visual_lengths(1, None)[0],
    )
    conversation = run.data.sources[stage.data].conversation
    return stream_batches(
        plan,
        TextEncoding(str(inputs.tokenizer), run.data.max_length, conversation),
        Share(context.get_world_rank(), context.get_world_size()),
        steps=stage.steps,
        pad_id=pad_id,
        tasks=run.workers.data_tasks,
        more=more,
    )


def _report(run: RunConfig, answerer: ModelAnswerer, scorer: Scorer, progress: Progress) -> None:
    """Score, checkpoint and report; every worker must call `ray.train.report`, but only the first has something to say."""
    if ray.train.get_context().get_world_rank() != 0:
        ray.train.report({})
        return
    progress.reports += 1
    # A run that is cut off at its next report has the status of this one.
    status = "finished" if progress.reports == run.reports else "stopped"
    seconds = time.time() - progress.started
    scored = scorer.score(
        answerer,
        run.name,
        run.model.encoders,
        run.connector_label,
        seed=run.seed,
        status=status,
        steps=progress.steps,
        seconds=seconds,
    )
    metrics = {
        "score": scored.report.score,
        "report": to_json(scored.report),
        "curve": progress.curve,
        "start_up_seconds": (progress.first_step_at or progress.started) - progress.started,
    }
    progress.curve = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "checkpoint"
        save_checkpoint(answerer.model, answerer.tokenizer, folder)
        record_training(folder, run, scored.report)
        save_answers(folder / "answers.json", scored.with_image, scored.blind)
        ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))
