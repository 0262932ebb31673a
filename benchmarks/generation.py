"""Measure answering questions one at a time, in batches, and in batches by Ray Data workers, side by side, on this machine.

    .venv/bin/python benchmarks/generation.py --checkpoint FOLDER [--rounds 3] [--questions 1500] [--workers 2]

one at a time     a plain loop with the same model: open the picture, encode it, generate the answer
batches           what `jobs/evaluate.py --answers FOLDER` does, in one process
workers           what `jobs/evaluate.py --answers FOLDER --processes N` does; Ray runs already

All answer the questions with a picture of a world that is rendered for it, --questions of each family, each once, and none is known
before: enough of them that starting workers, which costs the same for one question, does not hide what they do. Every process computes
with one thread, which for models of this size is the faster way (--threads gives the plain loop more). A visit is a process of its own,
in turns. Rates are counted from the first answer on, or from each worker's first batch on and added up, so that opening the model is
nobody's share; "with start" counts all from the call on, opening the model and starting workers included. Processor time is that of all
processes together, likewise. Answers must agree. Writes docs/results/generation.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import psutil
import torch
from side_by_side import Measured, measured, parser_of, results_of

from opabinia.burgess.config import WorldConfig
from opabinia.burgess.world import write_world
from opabinia.command_line import plain_errors
from opabinia.data.instructions.answer_log import SUFFIX
from opabinia.data.records import Turn
from opabinia.evaluation.answering.asked import Asked
from opabinia.evaluation.answering.asking import ask_all, asked_of, model_digest
from opabinia.evaluation.answering.worker import Answering
from opabinia.evaluation.pictures import pictures_in
from opabinia.evaluation.questions import BenchmarkConfig, load_questions
from opabinia.models.answering import Prompt, config_of, load_answerer

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results" / "generation.json"
_WAYS = ("one at a time", "batches", "workers")


def main() -> None:
    parser = parser_of(__doc__)
    parser.set_defaults(rounds=3)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=1500, help="of a family")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of the plain loop")
    parser.add_argument("--told", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--world", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(_measure(" ".join(options.child), options)))
        return
    with plain_errors():
        config = config_of(options.checkpoint)
    with tempfile.TemporaryDirectory() as told, tempfile.TemporaryDirectory() as rendered:
        world = write_world(
            WorldConfig(folder=Path(rendered) / "world", scenes=1, facts=0, benchmark=options.questions)
        )
        sizes = {name: getattr(options, name) for name in ("checkpoint", "questions", "batch", "workers", "threads")}
        flags = [f"--{name}={value}" for name, value in {**sizes, "told": told, "world": world}.items()]
        load = os.getloadavg()[0]
        ways = measured({way: way.split() for way in _WAYS}, flags, options.rounds, memory_apart=False)
        answers: dict[str, list[str]] = {way: json.loads((Path(told) / f"{way}.json").read_text()) for way in _WAYS}
    results: dict[str, Any] = {
        **results_of(options),
        **{name: sizes[name] for name in ("batch", "workers", "threads")},
        "encoders": list(config.encoders),
        "connector": config.connector.type,
        "questions": len(answers["workers"]),
        "load_average": [round(load, 1), round(os.getloadavg()[0], 1)],
        "ways": ways,
        "times_as_many_a_second_as_one_at_a_time": _times(ways, "questions_a_second"),
        "the_same_with_start": _times(ways, "questions_a_second_with_start"),
        "answers_that_differ": {way: _differences(answers[way], answers["one at a time"]) for way in _WAYS},
    }
    print(json.dumps(results, indent=1))
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def _times(ways: dict[str, dict[str, float]], rate: str) -> dict[str, float]:
    return {way: round(ways[way][rate] / ways["one at a time"][rate], 2) for way in ("batches", "workers")}


def _differences(some: Sequence[str], others: Sequence[str]) -> int:
    return sum(one != other for one, other in zip(some, others, strict=True))


def _measure(way: str, options: argparse.Namespace) -> dict[str, float]:
    """What a child tells; its answers go to a file, because a run says what it asks."""
    torch.set_num_threads(options.threads if way == "one at a time" else 1)
    world: Path = options.world
    benchmark = BenchmarkConfig(
        folder=str(world / "benchmark"),
        images=str(world / "images"),
        batch=options.batch,
        max_new_tokens=4,
    )
    questions = [question for question in load_questions(benchmark) if question.image]
    with tempfile.TemporaryDirectory() as kept, redirect_stdout(sys.stderr):
        answering = Answering(options.checkpoint.absolute(), benchmark, Path(kept))
        model = model_digest(answering.checkpoint, config_of(answering.checkpoint).encoders)
        asked = list(dict.fromkeys(asked_of(questions, benchmark, model, with_image=True)))
        if way == "one at a time":
            answers, measured = _one_at_a_time(asked, answering)
        else:
            answers, measured = _kept(asked, answering, options.workers if way == "workers" else 0)
    (options.told / f"{way}.json").write_text(json.dumps(answers))
    return measured


def _one_at_a_time(asked: Sequence[Asked], answering: Answering) -> tuple[list[str], Measured]:
    open_picture, texts, ends = pictures_in(Path(answering.benchmark.images)), list[str](), list[float]()
    began, worked = time.perf_counter(), _processor_seconds()
    answerer = load_answerer(answering.checkpoint)
    for one in asked:
        prompt = Prompt((Turn("user", one.text),), open_picture(one.image))
        (answer,) = answerer.answer([prompt], max_new_tokens=answering.benchmark.max_new_tokens)
        texts.append(answer.text)
        ends.append(time.perf_counter())
    rate = (len(ends) - 1) / (ends[-1] - ends[0])
    return texts, _measured(len(asked), rate, ends[-1] - began, _processor_seconds() - worked)


def _kept(asked: Sequence[Asked], answering: Answering, workers: int) -> tuple[list[str], Measured]:
    if workers:
        import ray

        ray.init(address="local", num_cpus=workers, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    began, worked = time.perf_counter(), _processor_seconds()
    with _watched(answering.kept) as seen:
        texts = ask_all(asked, answering, processes=workers)
    seconds, processors = time.perf_counter() - began, _processor_seconds() - worked
    return texts, _measured(len(asked), sum(map(_rate, seen.values())), seconds, processors)


def _measured(asked: int, rate: float, seconds: float, processor_seconds: float) -> Measured:
    return {
        "questions_a_second": round(rate, 2),
        "questions_a_second_with_start": round(asked / seconds, 2),
        "processor_ms_a_question_with_start": round(1e3 * processor_seconds / asked, 2),
    }


@contextmanager
def _watched(folder: Path) -> Generator[dict[str, list[tuple[float, int]]]]:
    """By file of answers: when it was seen to have how many whole lines."""
    seen: dict[str, list[tuple[float, int]]] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            for file in folder.glob(f"*{SUFFIX}"):
                lines, known = file.read_bytes().count(b"\n"), seen.setdefault(file.name, [])
                if not known or known[-1][1] < lines:
                    known.append((time.perf_counter(), lines))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _rate(seen: Sequence[tuple[float, int]]) -> float:
    """Lines a second after the first ones; none of a worker that had one batch."""
    (first, few), (last, all_of_them) = seen[0], seen[-1]
    return (all_of_them - few) / (last - first) if last > first else 0.0


def _processor_seconds() -> float:
    """Of this process and all that it started, those that have ended included."""
    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])
    return total


if __name__ == "__main__":
    main()
