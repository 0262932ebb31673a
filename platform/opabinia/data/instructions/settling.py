"""A prompt is asked until an answer can be used or the attempts are spent: one rule, for asking and for reading it up later."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from opabinia.data.instructions.client import Answer
from opabinia.data.instructions.filters import FilterConfig
from opabinia.data.instructions.judging import Content, judge
from opabinia.data.instructions.parsing import AnswerError
from opabinia.data.instructions.requests import Prompt, Request, make_request
from opabinia.data.instructions.settings import EndpointConfig


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request and the answer to it."""

    request: Request
    answer: Answer


@dataclass(frozen=True, slots=True)
class Outcome:
    """content: what the last attempt's answer holds, None when no attempt can be used. reason: why not, else ""."""

    content: Content | None
    attempts: tuple[Attempt, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Unsettled:
    """request: the first that has no answer. attempts: those before it."""

    request: Request
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides which requests a prompt leads to."""

    endpoint: EndpointConfig
    filters: FilterConfig
    attempts: int


Dialogue = Generator[Request, Answer, Outcome]


def dialogue(prompt: Prompt, rules: Rules) -> Dialogue:
    """Yields requests, is sent their answers, and returns the outcome."""
    attempts, reason = list[Attempt](), ""
    for number in range(1, rules.attempts + 1):
        request = make_request(prompt, rules.endpoint, number, reason)
        answer = yield request
        attempts.append(Attempt(request, answer))
        try:
            return Outcome(judge(answer, prompt.form, rules.filters), tuple(attempts), "")
        except AnswerError as error:
            reason = str(error)
            if not error.again:
                break
    return Outcome(None, tuple(attempts), reason)


def follow(prompt: Prompt, rules: Rules, find: Callable[[str], Answer | None]) -> Outcome | Unsettled:
    """Where answers lead that are known by their requests' keys: to the outcome, or to a request without an answer."""
    steps, attempts = dialogue(prompt, rules), list[Attempt]()
    request = next(steps)
    while (answer := find(request.key)) is not None:
        attempts.append(Attempt(request, answer))
        try:
            request = steps.send(answer)
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome
    return Unsettled(request, tuple(attempts))
