"""What one Ray task does: it asks some prompts, a bounded number at a time, and keeps each answer as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal

from opabinia.data.instructions.answer_log import AnswerIndex, AnswerWriter, read_answers
from opabinia.data.instructions.client import Answer, ChatClient, api_key, chat_client
from opabinia.data.instructions.pending import Pending, Slice
from opabinia.data.instructions.requests import Request
from opabinia.data.instructions.sending import Refused, Unanswered, Unusable
from opabinia.data.instructions.settings import InstructionConfig
from opabinia.data.instructions.settling import Rules, dialogue

FailureKind = Literal["unanswered", "refused", "unusable"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A request without an answer.

    kind: unanswered (another run may get one), refused (the endpoint finds the request itself wrong), or unusable (no request of
    this run can be answered).
    """

    key: str
    kind: FailureKind
    reason: str

    def row(self) -> dict[str, str]:
        """As a row of a data set."""
        return asdict(self)


@dataclass(slots=True)
class _Progress:
    """failed_in_a_row: since the last answer. stop: set once no request of this run can be answered."""

    failures: list[Failure] = field(default_factory=list[Failure])
    failed_in_a_row: int = 0
    stop: bool = False


@dataclass(frozen=True, slots=True)
class _Desk:
    """What the workers of a task share."""

    client: ChatClient
    writer: AnswerWriter
    earlier: AnswerIndex
    rules: Rules
    stop_after: int
    progress: _Progress = field(default_factory=_Progress)


async def ask_slice(
    pending: Sequence[Pending], part: Slice, settings: InstructionConfig, rules: Rules, answers: Path
) -> list[Failure]:
    """Ask the prompts, with this process's share of the requests in flight; the requests that have no answer.

    Answers of a task that Ray began, lost and repeats are found in the log again.
    """
    try:
        api_key(settings.endpoint)
    except ValueError as error:
        return [Failure("", "unusable", str(error))]
    asking = settings.asking
    name = f"{Path(part.path).name.partition('.')[0]}-{part.number:06d}"
    at_once = asking.at_once // asking.processes
    writer = AnswerWriter(answers, name)
    earlier = read_answers(answers, name)
    try:
        async with chat_client(settings.endpoint, settings.patience, at_once) as client, asyncio.TaskGroup() as group:
            desk = _Desk(client, writer, earlier, rules, asking.stop_after_failures)
            queue = iter(pending)
            for _ in range(min(at_once, len(pending))):
                group.create_task(_work(queue, desk))
        return desk.progress.failures
    finally:
        writer.close()


async def _work(queue: Iterator[Pending], desk: _Desk) -> None:
    for item in queue:
        if desk.progress.stop:
            return
        await _settle(item, desk)


async def _settle(item: Pending, desk: _Desk) -> None:
    steps = dialogue(item.prompt, desk.rules)
    request, known = next(steps), chain(item.known)
    while True:
        answer = next(known, None) or desk.earlier.find(request.key) or await _ask(request, desk)
        if answer is None:
            return
        try:
            request = steps.send(answer)
        except StopIteration:
            return


async def _ask(request: Request, desk: _Desk) -> Answer | None:
    """Ask and keep the answer; None, and a failure noted, when there is none."""
    try:
        answer = await desk.client.ask(request.body)
        desk.writer.add(request.key, answer)
    except OSError as error:
        _note(desk, Failure(request.key, "unusable", f"an answer cannot be kept: {error}"))
    except Unusable as error:
        _note(desk, Failure(request.key, "unusable", str(error)))
    except Refused as error:
        _note(desk, Failure(request.key, "refused", f"the endpoint refuses the request: {error}"))
    except Unanswered as error:
        _note(desk, Failure(request.key, "unanswered", f"no answer: {error}"))
    else:
        desk.progress.failed_in_a_row = 0
        return answer
    return None


def _note(desk: _Desk, failure: Failure) -> None:
    progress = desk.progress
    progress.failures.append(failure)
    progress.failed_in_a_row += 1
    if failure.kind == "unusable" or progress.stop:
        progress.stop = True
    elif progress.failed_in_a_row >= desk.stop_after:
        progress.stop = True
        reason = f"{progress.failed_in_a_row} requests in a row failed, the last: {failure.reason}"
        progress.failures.append(Failure(failure.key, "unusable", reason))
