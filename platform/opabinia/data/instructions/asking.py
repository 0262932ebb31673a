"""Asking all prompts that are not answered yet, with Ray Data: a bounded number of requests at a time, each answer kept at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from opabinia.data.instructions.answer_log import AnswerIndex, only_run, read_answers
from opabinia.data.instructions.client import api_key
from opabinia.data.instructions.pending import PENDING, Slice, read_slice, write_pending
from opabinia.data.instructions.requests import Prompt
from opabinia.data.instructions.settings import InstructionConfig
from opabinia.data.instructions.settling import Outcome, Rules, follow
from opabinia.data.instructions.task import Failure, ask_slice


@dataclass(frozen=True, slots=True)
class Answered:
    """All that is known after asking. failures: key of a request -> why it has no answer."""

    index: AnswerIndex
    failures: dict[str, str]
    rules: Rules

    def outcome(self, prompt: Prompt) -> Outcome:
        """What came of a prompt. Raises ValueError when it was never asked."""
        found = follow(prompt, self.rules, self.index.find)
        if isinstance(found, Outcome):
            return found
        if found.request.key not in self.failures:
            raise ValueError("answers: one that was there has gone; leave the folder alone while a run reads it")
        return Outcome(None, found.attempts, self.failures[found.request.key])


def ask_all(prompts: Callable[[], Iterable[Prompt]], settings: InstructionConfig, answers: Path) -> Answered:
    """Ask what the log in the folder `answers` does not hold yet; equal prompts are asked once.

    prompts: gives the same prompts each time it is called. The folder must be one that all nodes of the cluster see; Ray must be
    running. Raises ValueError when the endpoint answers nothing at all, or leaves too many requests without an answer.
    """
    api_key(settings.endpoint)
    rules = Rules(settings.endpoint, settings.filters, settings.asking.attempts)
    with only_run(answers):
        for stale in answers.glob(f"*{PENDING}"):
            stale.unlink()
        index = read_answers(answers)
        failures, count = _ask_pending(prompts(), rules, settings, answers, index)
        _enforce_limit(failures, count, settings)
        return Answered(read_answers(answers), {failure.key: failure.reason for failure in failures}, rules)


def _ask_pending(
    prompts: Iterable[Prompt], rules: Rules, settings: InstructionConfig, answers: Path, index: AnswerIndex
) -> tuple[list[Failure], int]:
    """(requests without an answer, how many prompts there are)."""
    run = uuid4().hex[:12]
    file = answers / f"{run}{PENDING}"
    try:
        slices, count = write_pending(prompts, rules, index, file, settings.asking)
        return (list(_run_tasks(slices, settings, rules, answers)) if slices else []), count
    finally:
        file.unlink(missing_ok=True)


def _run_tasks(slices: list[Slice], settings: InstructionConfig, rules: Rules, answers: Path) -> Iterator[Failure]:
    from opabinia.data.pipeline import ordered_dataset

    asking = settings.asking
    expand = _Expand(settings, rules, str(answers.resolve()))
    rows: Iterable[dict[str, Any]] = ordered_dataset(
        [part.row() for part in slices], expand, at_once=asking.processes
    ).iter_rows()
    for row in rows:
        if row["kind"] == "unusable":
            raise ValueError(f"endpoint: {settings.endpoint.base_url}: {row['reason']}; put it right and run again")
        yield Failure(**row)


@dataclass(frozen=True, slots=True)
class _Expand:
    """Asks the prompts of one slice inside a Ray task."""

    settings: InstructionConfig
    rules: Rules
    answers: str

    def __call__(self, row: Mapping[str, Any]) -> Iterator[Any]:
        from opabinia.data.arrow import pa

        part = Slice(**row)
        failures = asyncio.run(ask_slice(list(read_slice(part)), part, self.settings, self.rules, Path(self.answers)))
        schema = pa.schema([(name, pa.string()) for name in ("key", "kind", "reason")])
        yield pa.Table.from_pylist([failure.row() for failure in failures], schema=schema)


def _enforce_limit(failures: list[Failure], count: int, settings: InstructionConfig) -> None:
    unanswered = [failure for failure in failures if failure.kind == "unanswered"]
    limit = settings.asking.unanswered_limit
    if len(unanswered) > limit * count:
        raise ValueError(
            f"asking.unanswered_limit: {len(unanswered)} of {count} prompts have no answer (limit {limit:.1%}); the others are "
            f"kept, so run again to ask those alone; the first: {unanswered[0].reason}"
        )
