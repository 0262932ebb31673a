"""Asking what is not answered yet, in this process or by Ray Data workers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opabinia.data.instructions.answer_log import AnswerIndex, only_run, read_answers
from opabinia.evaluation.answering.asked import Asked, batches_of
from opabinia.evaluation.answering.keys import answer_key, checkpoint_digest, picture_digest
from opabinia.evaluation.answering.worker import Answering, AnsweringWorker, Opened, row_of
from opabinia.evaluation.evaluate import Evaluation, evaluation_of, words_of
from opabinia.evaluation.questions import BenchmarkConfig, Question

if TYPE_CHECKING:
    from opabinia.features.workers import Workers


def evaluate_kept(
    answering: Answering,
    questions: Sequence[Question],
    model: str,
    *,
    processes: int,
    opened: Opened | None = None,
) -> tuple[Evaluation, Evaluation]:
    """What the model answers to every question with the image and without, as `evaluate` has it, asking only what is not kept.

    model: `model_digest` of the checkpoint. processes: workers, for which Ray must be running; 0 asks in this process, what `opened`
    gives, or the checkpoint. Raises ValueError as `evaluate` does, and where another run writes into the folder of answers.
    """
    started = time.perf_counter()
    asked = {seen: asked_of(questions, answering.benchmark, model, with_image=seen) for seen in (True, False)}
    texts = ask_all([*asked[True], *asked[False]], answering, processes=processes, opened=opened)
    seconds = (time.perf_counter() - started) / 2
    kind, count = answering.benchmark.prompt, len(questions)
    return (
        evaluation_of(questions, texts[:count], with_image=True, prompt_kind=kind, seconds=seconds),
        evaluation_of(questions, texts[count:], with_image=False, prompt_kind=kind, seconds=seconds),
    )


def ask_all(asked: Sequence[Asked], answering: Answering, *, processes: int, opened: Opened | None = None) -> list[str]:
    """The answers in order, of which those that are not kept are asked, equal ones once. Everything else as for `evaluate_kept`."""
    with only_run(answering.kept):
        _ask_missing(asked, answering, processes, opened)
        index = read_answers(answering.kept)
    return [_text(index, one) for one in asked]


def model_digest(checkpoint: Path, encoders: Sequence[str]) -> str:
    """Of a checkpoint and of the encoders that it only names."""
    from opabinia.models.encoder_weights import encoder_digests

    return f"{checkpoint_digest(checkpoint)} {encoder_digests(encoders)}"


def asked_of(questions: Sequence[Question], benchmark: BenchmarkConfig, model: str, *, with_image: bool) -> list[Asked]:
    """One for each question. Raises ValueError naming a picture that is missing."""
    images = None if benchmark.files else Path(benchmark.images)
    asked: list[Asked] = []
    for question in questions:
        text = words_of(question, with_image=with_image, prompt_kind=benchmark.prompt)
        image = (question.image or "") if with_image else ""
        picture = picture_digest(image, images) if image else ""
        asked.append(Asked(answer_key(model, text, picture, benchmark.max_new_tokens), text, image))
    return asked


def _ask_missing(asked: Sequence[Asked], answering: Answering, processes: int, opened: Opened | None) -> None:
    index = read_answers(answering.kept)
    missing = {one.key: one for one in asked if index.find(one.key) is None}
    known = len({one.key for one in asked}) - len(missing)
    print(f"answers: {known} kept, {len(missing)} to ask", flush=True)
    if not missing:
        return
    if processes:
        _ask_in_workers(list(missing.values()), answering, processes)
    else:
        _ask_here(list(missing.values()), answering, opened)


def _ask_here(asked: Sequence[Asked], answering: Answering, opened: Opened | None) -> None:
    worker = AnsweringWorker(answering, opened)
    try:
        for batch in batches_of(asked, answering.benchmark.batch, workers=1):
            worker.answer(batch)
    finally:
        worker.close()


def _ask_in_workers(asked: Sequence[Asked], answering: Answering, processes: int) -> None:
    from ray.data import ActorPoolStrategy

    from opabinia.data.pipeline import configure_context, one_item_a_block
    from opabinia.features.workers import free_workers

    room = free_workers()
    count = min(processes, room.count)
    batches = batches_of(asked, answering.benchmark.batch, count)
    dataset = one_item_a_block([row_of(batch) for batch in batches]).map_batches(
        AnsweringWorker,
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=min(count, len(batches))),
        num_cpus=room.cpus,
        num_gpus=room.gpus,
        fn_constructor_kwargs={"answering": _for_worker(answering, room)},
    )
    configure_context(dataset)
    # What is answered is kept by the worker, in any order.
    dataset.context.execution_options.preserve_order = False
    for _ in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
        pass


def _for_worker(answering: Answering, room: Workers) -> Answering:
    return Answering(answering.checkpoint.absolute(), answering.benchmark, answering.kept.absolute(), room.threads)


def _text(index: AnswerIndex, one: Asked) -> str:
    found: Any = index.find(one.key)
    if found is None:
        raise ValueError("answers: one that was there has gone; leave the folder alone while a run reads it")
    return found.text
