"""Answers batches with a model of its own, and keeps each answer at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opabinia.data.instructions.answer_log import AnswerWriter
from opabinia.data.instructions.client import Answer
from opabinia.data.records import Turn
from opabinia.evaluation.answering.asked import Asked

if TYPE_CHECKING:
    from opabinia.data.arrow import ArrowTable
    from opabinia.evaluation.pictures import OpenPicture
    from opabinia.evaluation.questions import BenchmarkConfig
    from opabinia.models.answering import Answer as ModelAnswer
    from opabinia.models.answering import Answerer


Opened = Callable[[], "Answerer"]
"""Gives a model to ask."""


@dataclass(frozen=True, slots=True)
class Answering:
    """checkpoint: the model's folder. benchmark: whose pictures are opened, and how long an answer may be. kept: the folder of answers.

    threads: of each worker's processors; None leaves them to torch. Every worker must see the folders.
    """

    checkpoint: Path
    benchmark: BenchmarkConfig
    kept: Path
    threads: int | None = None


class AnsweringWorker:
    """Opens the model with its first batch; called by Ray Data with rows of batches, or directly."""

    def __init__(self, answering: Answering, opened: Opened | None = None) -> None:
        """`opened`: gives the model where it may be open already."""
        self._answering, self._opened = answering, opened
        self._writer = AnswerWriter(answering.kept, "answering")

    def __call__(self, block: ArrowTable) -> Iterator[ArrowTable]:
        """Rows {"batch": what is asked} -> rows {"answered": how many}; the answers are in the folder."""
        from opabinia.data.arrow import pa

        for row in block.to_pylist():
            batch = [Asked(**fields) for fields in row["batch"]]
            self.answer(batch)
            yield pa.table({"answered": [len(batch)]})

    def answer(self, batch: Sequence[Asked]) -> None:
        """Raises ValueError naming a picture that cannot be read, and for prompts that are too long."""
        from opabinia.models.answering import Prompt

        opened = cache(self._open_picture)
        prompts = [Prompt((Turn("user", one.text),), opened(one.image) if one.image else None) for one in batch]
        answers = self._answerer.answer(prompts, max_new_tokens=self._answering.benchmark.max_new_tokens)
        for one, answer in zip(batch, answers, strict=True):
            self._writer.add(one.key, kept_form(answer, self._answering.checkpoint.name))

    def close(self) -> None:
        """Bring all answers to the disk."""
        self._writer.close()

    @cached_property
    def _answerer(self) -> Answerer:
        import torch

        from opabinia.models.answering import load_answerer

        if self._answering.threads is not None:
            torch.set_num_threads(self._answering.threads)
        return self._opened() if self._opened else load_answerer(self._answering.checkpoint)

    @cached_property
    def _open_picture(self) -> OpenPicture:
        from opabinia.evaluation.benchmarks.formats.pictures import pictures_of

        return pictures_of(self._answering.benchmark)


def kept_form(answer: ModelAnswer, model: str) -> Answer:
    """An answer of a model here, as answers of endpoints are kept."""
    return Answer(
        text=answer.text,
        ending=answer.finish_reason,
        model=model,
        host="",
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
    )


def row_of(batch: Sequence[Asked]) -> Mapping[str, Any]:
    """A batch as a row of a data set."""
    return {"batch": [{"key": one.key, "text": one.text, "image": one.image} for one in batch]}
