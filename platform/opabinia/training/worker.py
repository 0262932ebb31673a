"""What each Ray Train worker does: the story of one run, from base weights, or where it was cut off, to a scored checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from opabinia.data.audited import open_audited
from opabinia.data.streaming.batching import PlainBatches
from opabinia.data.streaming.plan import StreamPlan
from opabinia.data.streaming.reading import MoreColumns
from opabinia.data.streaming.stream import Streamed, stream_batches
from opabinia.data.trainable import TextEncoding
from opabinia.models.learner import LOSS_POSITIONS
from opabinia.storage.addresses import join_address
from opabinia.training.assembly import Parts, assemble
from opabinia.training.checkpointing.checkpoints import Checkpoints
from opabinia.training.checkpointing.layout import Checkpoint
from opabinia.training.checkpointing.manifest import read_manifest
from opabinia.training.checkpointing.state import TrainingState
from opabinia.training.loop import Trained, Watch, train_stage
from opabinia.training.memory.estimate import memory_facts
from opabinia.training.optimisation.optimiser import build_optimiser, set_learning
from opabinia.training.placing import Placing, blanks, static_shape
from opabinia.training.recipe.stages import StageConfig, rows_at_once, stage_seed
from opabinia.training.reports.progress import Progress, resumed
from opabinia.training.reports.reporting import report
from opabinia.training.run import RunConfig
from opabinia.training.safeguards.guard import Guard
from opabinia.training.safeguards.preemption import Preemption
from opabinia.training.safeguards.skipped_steps import SkippedSteps


def train_worker(settings: dict[str, Any]) -> None:
    """Run by Ray Train with {"run": RunConfig as JSON, "hardware": of the workers, "asked_at": when the run was asked for, seconds
    since the epoch, "state": the address below which the run's state is saved}. Goes on from the last complete checkpoint there.
    """
    parts = assemble(RunConfig.model_validate_json(settings["run"]), settings["hardware"], settings["state"])
    with Checkpoints(parts.state, parts.run.checkpoints) as checkpoints:
        latest = checkpoints.latest()
        progress, preemption = Progress(started=settings["asked_at"]), Preemption()
        if latest is not None:
            progress = resumed(read_manifest(latest.address).facts, settings["asked_at"])
        had_ended = progress.reports == parts.run.reports
        for place in range(progress.stage, len(parts.run.stages)):
            progress.enter(place)
            _train_stage(parts, progress, checkpoints, preemption, latest)
            latest = None
        if had_ended:
            # Whether anybody heard the last report is not known.
            progress.reports -= 1
            report(parts, progress)


def report_steps(stage: StageConfig) -> frozenset[int]:
    """The steps of a stage after which the run reports: evenly spaced, the last one included."""
    return frozenset(round(stage.steps * (index + 1) / stage.reports) for index in range(stage.reports))


def _train_stage(
    parts: Parts, progress: Progress, checkpoints: Checkpoints, preemption: Preemption, latest: Checkpoint | None
) -> None:
    """Train the stage that `progress` is in, from the state in `latest` where there is one."""
    run, stage = parts.run, parts.run.stages[progress.stage]
    parts.learner.enter(progress.stage)
    plan = _plan(parts, progress.stage)
    trained = _made_ready(parts, stage, plan)
    optimiser, untrained = trained.optimiser, parts.untrained[progress.stage]
    state = TrainingState(parts.learner, optimiser.adamw, optimiser.schedule, untrained)
    if latest is not None:
        checkpoints.load(latest, state)
    features = parts.features.only(parts.learner.active.config.encoders)
    plain = plan.padding_if_plain(rows_at_once(stage, parts.share.workers))
    more = {} if isinstance(stage.batching, PlainBatches) else {"padding_if_plain": plain}
    batches, watch = _batches(parts, progress, plan, features.more), _watch(parts, progress)
    for step in train_stage(trained, stage, batches, features, watch, done=progress.done):
        progress.add(stage, step, more)
        reports = step.number in report_steps(stage)
        if reports:
            report(parts, progress)
        # A report that was given must not be given again, so what may fail is saved with it.
        begins_anew = run.workers.may_begin_anew or preemption.is_announced
        if checkpoints.is_due(progress.steps, asked=(reports and begins_anew) or preemption.is_near):
            preemption.note_saved()
            progress.guard = watch.guard.to_state()
            checkpoints.save(state, progress.steps, progress.facts())


def _made_ready(parts: Parts, stage: StageConfig, plan: StreamPlan) -> Trained:
    """Freeze, then wrap, then optimise: hardware copies gradients of what learns, and shards put other parameters in place."""
    backend, learner = parts.backend, parts.learner
    learner.requires_grad_(False)
    set_learning(learner.active, stage, learner.active_encoders)
    wrapped = backend.wrap(learner, learner.blocks)
    optimiser = build_optimiser(learner.active, stage, learner.active_encoders)
    placing = Placing(learner.active.layout)
    if backend.static_shapes:
        placing = Placing(learner.active.layout, static_shape(plan), blanks(learner))
    return Trained(wrapped, optimiser, backend, placing)


def _watch(parts: Parts, progress: Progress) -> Watch:
    """For a stage whose parts that do not learn are frozen already."""
    run, stage = parts.run, parts.run.stages[progress.stage]
    memory = memory_facts(
        parts.learner.active,
        stage,
        device=parts.backend.device.type,
        workers=parts.share.workers,
        rows=rows_at_once(stage, parts.share.workers),
        tokens=run.data.max_length,
        sharded=run.workers.sharding == "sharded",
        precision=parts.backend.precision,
        encoders=parts.features.frozen_bytes,
        learning=parts.learner.active_encoders.values(),
        logit_positions=LOSS_POSITIONS,
        cached=run.cache.memory_mib << 20,
        data_tasks=run.workers.data_tasks,
    )
    skipped = SkippedSteps(join_address(parts.state, "skipped"), progress.stage, stage.name, parts.share.worker)
    return Watch(Guard.from_state(run.guard, progress.guard), skipped, memory)


def _plan(parts: Parts, place: int) -> StreamPlan:
    stage = parts.run.stages[place]
    return StreamPlan(
        open_audited(parts.inputs.audits[stage.data]),
        seed=stage_seed(parts.run.seed, place),
        batch=stage.batch,
        batching=stage.batching,
        visual_tokens=parts.learner.active.layout.lengths(1, None)[0],
    )


def _batches(parts: Parts, progress: Progress, plan: StreamPlan, more: MoreColumns | None) -> Iterator[Streamed]:
    run, stage = parts.run, parts.run.stages[progress.stage]
    conversation = run.data.sources[stage.data].conversation
    return stream_batches(
        plan,
        TextEncoding(str(parts.inputs.tokenizer), run.data.max_length, conversation),
        parts.share,
        steps=stage.steps - progress.done,
        pad_id=cast("int | None", parts.tokenizer.pad_token_id) or 0,
        rows=rows_at_once(stage, parts.share.workers),
        start=progress.position,
        tasks=run.workers.data_tasks,
        more=more,
    )
