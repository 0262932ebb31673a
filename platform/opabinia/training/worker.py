"""What each Ray Train worker does: the story of one run, from base weights, or where it was cut off, to a scored checkpoint."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import ray.train
import torch
from ray.train import Checkpoint as ReportedCheckpoint
from transformers import PreTrainedTokenizerFast

from opabinia.data.audited import open_audited
from opabinia.data.streaming.batching import PlainBatches
from opabinia.data.streaming.plan import Share, StreamPlan
from opabinia.data.streaming.stream import Streamed, stream_batches
from opabinia.data.trainable import TextEncoding
from opabinia.evaluation.report import to_json
from opabinia.evaluation.samples import save_answers
from opabinia.models.answering import ModelAnswerer
from opabinia.models.checkpoint import save_checkpoint
from opabinia.models.language_models import load_language_model, load_tokenizer
from opabinia.models.lora import add_adapters, merged
from opabinia.models.multimodal import MultimodalModel
from opabinia.storage.addresses import join_address
from opabinia.training.card import record_training
from opabinia.training.checkpointing.checkpoints import Checkpoints
from opabinia.training.checkpointing.layout import Checkpoint
from opabinia.training.checkpointing.manifest import read_manifest
from opabinia.training.checkpointing.state import TrainingState
from opabinia.training.data_parallel import Together
from opabinia.training.guard import Guard
from opabinia.training.inputs import TrainingInputs, load_inputs
from opabinia.training.loop import Watch, train_stage
from opabinia.training.memory_estimate import memory_facts
from opabinia.training.optimiser import build_optimiser
from opabinia.training.progress import Progress, resumed
from opabinia.training.run import RunConfig
from opabinia.training.scorer import Scorer, open_scorer
from opabinia.training.skipped_steps import SkippedSteps
from opabinia.training.stages import StageConfig, rows_at_once
from opabinia.training.visual_features import VisualFeatures, open_features


@dataclass(frozen=True)
class Parts:
    """What a run is made of, besides where it stands."""

    run: RunConfig
    inputs: TrainingInputs
    tokenizer: PreTrainedTokenizerFast
    model: MultimodalModel
    features: VisualFeatures
    scorer: Scorer
    together: Together
    state: str
    """The address below which the run's state is saved."""


def train_worker(settings: dict[str, Any]) -> None:
    """Run by Ray Train with {"run": RunConfig as JSON, "asked_at": when the run was asked for, seconds since the epoch, "state":
    the address below which the run's state is saved}. Goes on from the last complete checkpoint there.
    """
    parts = _assemble(RunConfig.model_validate_json(settings["run"]), settings["state"])
    with Checkpoints(parts.state, parts.run.checkpoints) as checkpoints:
        latest = checkpoints.latest()
        progress = Progress(started=settings["asked_at"])
        if latest is not None:
            progress = resumed(read_manifest(latest.address).facts, settings["asked_at"])
        for place in range(progress.stage, len(parts.run.stages)):
            progress.enter(place)
            _train_stage(parts, progress, checkpoints, latest)
            latest = None


def report_steps(stage: StageConfig) -> frozenset[int]:
    """The steps of a stage after which the run reports: evenly spaced, the last one included."""
    return frozenset(round(stage.steps * (index + 1) / stage.reports) for index in range(stage.reports))


def _assemble(run: RunConfig, state: str) -> Parts:
    torch.set_num_threads(run.workers.threads)
    # All workers begin with the same weights; what is drawn while training is each one's own.
    torch.manual_seed(run.seed)
    inputs = load_inputs(run.inputs)
    language_model = load_language_model(run.model.language_model)
    if run.model.lora is not None:
        add_adapters(language_model, run.model.lora)
    model = MultimodalModel(run.model, language_model)
    context = ray.train.get_context()
    together = Together(context.get_world_rank(), context.get_world_size())
    torch.manual_seed(run.seed * together.workers + together.rank)
    return Parts(
        run=run,
        inputs=inputs,
        tokenizer=load_tokenizer(str(inputs.tokenizer)),
        model=model,
        features=open_features(inputs, run.model.encoders, memory_mib=run.cache.memory_mib, decoding=run.data.decoding),
        scorer=open_scorer(run.benchmark, inputs.benchmark_keys if inputs.features else None),
        together=together,
        state=state,
    )


def _train_stage(parts: Parts, progress: Progress, checkpoints: Checkpoints, latest: Checkpoint | None) -> None:
    """Train the stage that `progress` is in, from the state in `latest` where there is one."""
    run, stage = parts.run, parts.run.stages[progress.stage]
    optimiser = build_optimiser(parts.model, stage)
    state = TrainingState(parts.model, optimiser.adamw, optimiser.schedule)
    if latest is not None:
        checkpoints.load(latest, state)
    plan = _plan(parts, progress.stage)
    plain = plan.padding_if_plain(rows_at_once(stage, parts.together.workers))
    more = {} if isinstance(stage.batching, PlainBatches) else {"padding_if_plain": plain}
    batches = _batches(parts, progress, plan)
    watch = _watch(parts, progress)
    for step in train_stage(
        parts.model, optimiser, stage, batches, parts.features, parts.together, watch, done=progress.done
    ):
        progress.add(stage, step, more)
        reports = step.number in report_steps(stage)
        if reports:
            _report(parts, progress)
        # A report that was given must not be given again, so what may fail is saved with it.
        if checkpoints.is_due(progress.steps, asked=reports and run.workers.max_failures > 0):
            progress.guard = watch.guard.to_state()
            checkpoints.save(state, progress.steps, progress.facts())


def _watch(parts: Parts, progress: Progress) -> Watch:
    """For a stage whose parts that do not learn are frozen already."""
    run, stage = parts.run, parts.run.stages[progress.stage]
    memory = memory_facts(
        parts.model,
        stage,
        device="cpu",
        workers=parts.together.workers,
        rows=rows_at_once(stage, parts.together.workers),
        tokens=run.data.max_length,
        cached=run.cache.memory_mib << 20,
        data_tasks=run.workers.data_tasks,
    )
    skipped = SkippedSteps(join_address(parts.state, "skipped"), progress.stage, stage.name, parts.together.rank)
    return Watch(Guard.from_state(run.guard, progress.guard), skipped, memory)


def _plan(parts: Parts, place: int) -> StreamPlan:
    stage = parts.run.stages[place]
    return StreamPlan(
        open_audited(parts.inputs.audits[stage.data]),
        seed=parts.run.seed * 1000 + place,
        batch=stage.batch,
        batching=stage.batching,
        visual_tokens=parts.model.visual_lengths(1, None)[0],
    )


def _batches(parts: Parts, progress: Progress, plan: StreamPlan) -> Iterator[Streamed]:
    run, stage, together = parts.run, parts.run.stages[progress.stage], parts.together
    conversation = run.data.sources[stage.data].conversation
    return stream_batches(
        plan,
        TextEncoding(str(parts.inputs.tokenizer), run.data.max_length, conversation),
        Share(together.rank, together.workers),
        steps=stage.steps - progress.done,
        pad_id=cast("int | None", parts.tokenizer.pad_token_id) or 0,
        rows=rows_at_once(stage, together.workers),
        start=progress.position,
        tasks=run.workers.data_tasks,
        more=parts.features.more,
    )


def _report(parts: Parts, progress: Progress) -> None:
    """Score, checkpoint and report; every worker must call `ray.train.report`, but only the first has something to say."""
    progress.reports += 1
    curve = progress.take_curve()
    if parts.together.rank != 0:
        ray.train.report({})
        return
    run = parts.run
    answerer = ModelAnswerer(parts.model, parts.tokenizer, parts.features.of_prompts)
    scored = parts.scorer.score(
        answerer,
        run.name,
        run.model.encoders,
        run.connector_label,
        seed=run.seed,
        # A run that is cut off at its next report has the status of this one.
        status="finished" if progress.reports == run.reports else "stopped",
        steps=progress.steps,
        seconds=progress.seconds,
    )
    metrics = {
        "score": scored.report.score,
        "report": to_json(scored.report),
        "curve": curve,
        "start_up_seconds": (progress.first_step_at or progress.started) - progress.started,
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "checkpoint"
        with merged(answerer.model.language_model):
            save_checkpoint(answerer.model, answerer.tokenizer, folder)
        record_training(folder, run, scored.report, progress.position)
        save_answers(folder / "answers.json", scored.with_image, scored.blind)
        ray.train.report(metrics, checkpoint=ReportedCheckpoint.from_directory(folder))
