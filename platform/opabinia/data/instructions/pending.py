"""The prompts that are still to be asked, as a file that tasks read in slices."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from opabinia.data.instructions.answer_log import AnswerIndex
from opabinia.data.instructions.client import Answer
from opabinia.data.instructions.requests import Form, Prompt
from opabinia.data.instructions.settings import AskingConfig
from opabinia.data.instructions.settling import Outcome, Rules, Unsettled, follow

PENDING = ".pending.jsonl"


@dataclass(frozen=True, slots=True)
class Slice:
    """Some lines of a file of pending prompts. number: its place among the slices. offset, size: in bytes."""

    path: str
    number: int
    offset: int
    size: int

    def row(self) -> dict[str, Any]:
        """As a row of a data set."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Pending:
    """A prompt, and the answers to its first attempts that are known."""

    prompt: Prompt
    known: tuple[Answer, ...]


def write_pending(
    prompts: Iterable[Prompt], rules: Rules, index: AnswerIndex, file: Path, asking: AskingConfig
) -> tuple[list[Slice], int]:
    """Write the prompts that lead to a request without an answer, each once: (slices of the file, how many prompts there are)."""
    ends, seen, count = list[int](), set[int](), 0
    with file.open("wb") as handle:
        for prompt in prompts:
            count += 1
            found = follow(prompt, rules, index.find)
            if isinstance(found, Outcome) or (short := int(found.request.key[:16], 16)) in seen:
                continue
            seen.add(short)
            handle.write(_line(prompt, found))
            ends.append(handle.tell())
    return _slices(str(file.resolve()), ends, asking), count


def read_slice(part: Slice) -> Iterator[Pending]:
    """The prompts of a slice."""
    with open(part.path, "rb") as handle:
        handle.seek(part.offset)
        content = handle.read(part.size)
    for line in content.splitlines():
        fields = json.loads(line)
        prompt = Prompt(fields["system"], fields["user"], Form(**fields["form"]))
        yield Pending(prompt, tuple(Answer(**answer) for answer in fields["known"]))


def _line(prompt: Prompt, found: Unsettled) -> bytes:
    known = [asdict(attempt.answer) for attempt in found.attempts]
    fields = {"system": prompt.system, "user": prompt.user, "form": prompt.form.model_dump(), "known": known}
    return json.dumps(fields).encode() + b"\n"


def _slices(path: str, ends: list[int], asking: AskingConfig) -> list[Slice]:
    """Slices of equal numbers of prompts, at least as many as there are processes."""
    most = max(1, min(asking.requests_per_task, -(-len(ends) // asking.processes)))
    borders = [0, *ends[most - 1 : -1 : most], *ends[-1:]]
    return [Slice(path, number, start, stop - start) for number, (start, stop) in enumerate(pairwise(borders))]
