"""What asking will take, said before anything is asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from opabinia.data.instructions.answer_log import read_answers
from opabinia.data.instructions.client import Answer
from opabinia.data.instructions.costs import Price, price_table
from opabinia.data.instructions.requests import Form, Prompt, Request
from opabinia.data.instructions.settings import InstructionConfig
from opabinia.data.instructions.settling import Outcome, Rules, follow
from opabinia.data.instructions.wiki import WikiConfig

# Rules of thumb for English, used until enough answers to the same kind of prompt are known.
BYTES_A_TOKEN = 4.0
TOKENS_A_PAIR = 60
TOKENS_A_DESCRIPTION = 150
TOKENS_AN_ITEM = 8
_ENOUGH = 20


@dataclass(slots=True)
class Measured:
    """What is known from answers whose tokens the endpoint counted: bytes of text sent, tokens sent and answered."""

    answers: int = 0
    sent_bytes: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, request: Request, answer: Answer) -> None:
        """Count an answer to a request."""
        if answer.prompt_tokens is not None and answer.completion_tokens is not None:
            self.answers += 1
            self.sent_bytes += _text_bytes(request)
            self.prompt_tokens += answer.prompt_tokens
            self.completion_tokens += answer.completion_tokens


@dataclass(frozen=True, slots=True)
class Plan:
    """What asking will take.

    prompts: all there are. requests: distinct ones without an answer. prompt_tokens, completion_tokens: estimates for these requests.
    measured: answers that the estimates rest on; 0 when they are rules of thumb.
    """

    prompts: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    measured: int


def plan_asking(prompts: Iterable[Prompt], settings: InstructionConfig, answers: Path) -> Plan:
    """What asking the prompts will take, with the answers in the folder `answers` known; nothing is written."""
    rules = Rules(settings.endpoint, settings.filters, settings.asking.attempts)
    index, measured = read_answers(answers), Measured()
    pending, count, sent_bytes, expected = set[int](), 0, 0, 0
    for prompt in prompts:
        count += 1
        found = follow(prompt, rules, index.find)
        for attempt in found.attempts:
            measured.add(attempt.request, attempt.answer)
        if isinstance(found, Outcome) or (short := int(found.request.key[:16], 16)) in pending:
            continue
        pending.add(short)
        sent_bytes += _text_bytes(found.request)
        expected += expected_tokens(prompt.form)
    return _plan(count, len(pending), sent_bytes, expected, measured)


def expected_tokens(form: Form) -> int:
    """Tokens of an answer of this form, by rule of thumb."""
    if form.kind == "list":
        return form.most * TOKENS_AN_ITEM
    return form.most * TOKENS_A_PAIR + form.description * TOKENS_A_DESCRIPTION


def render_plan(plan: Plan, settings: InstructionConfig) -> str:
    """The plan as lines for people: requests, tokens, money."""
    endpoint, asking = settings.endpoint, settings.asking
    if not plan.requests:
        return f"requests: none; {plan.prompts:,} prompts, all answered before"
    known = plan.prompts - plan.requests
    others = f"; {known:,} are answered before, or equal to others" if known else ""
    lines = [
        f"requests: {plan.requests:,} for {plan.prompts:,} prompts{others}",
        f"endpoint: {endpoint.model} at {endpoint.base_url}, {asking.at_once} at a time, {asking.attempts} attempts at a usable answer",
        f"tokens:   about {plan.prompt_tokens:,} sent and {plan.completion_tokens:,} answered ({_basis(plan)})",
        f"cost:     {_cost(plan, settings)}",
    ]
    return "\n".join(lines)


def render_fetching(topics: int, wiki: WikiConfig) -> str:
    """What fetching pages about so many topics will take, for people."""
    pages = topics * wiki.pages_per_topic
    # A search for each topic; for each page its text, the facts about its pictures, and a picture.
    hours = (topics + 3 * pages) * wiki.pause_s / 3600
    return (
        f"topics:   {topics:,}, up to {wiki.pages_per_topic} pages each from {wiki.api_url}; what was fetched before is kept\n"
        f"time:     about {hours:,.1f} hours, a request every {wiki.pause_s:g} s, if each page is new and has one picture\n"
        f"cost:     none"
    )


def _plan(prompts: int, requests: int, sent_bytes: int, expected: int, measured: Measured) -> Plan:
    if measured.answers < _ENOUGH:
        return Plan(prompts, requests, round(sent_bytes / BYTES_A_TOKEN), expected, 0)
    sent = round(sent_bytes * measured.prompt_tokens / max(1, measured.sent_bytes))
    answered = round(requests * measured.completion_tokens / measured.answers)
    return Plan(prompts, requests, sent, answered, measured.answers)


def _text_bytes(request: Request) -> int:
    return sum(len(message["content"].encode("utf-8", "replace")) for message in request.body["messages"])


def _basis(plan: Plan) -> str:
    if plan.measured:
        return f"as in the {plan.measured:,} answers so far"
    rules = f"{BYTES_A_TOKEN:g} bytes of text a token, {TOKENS_A_PAIR} tokens a pair, {TOKENS_AN_ITEM} a topic"
    return f"by rule of thumb: {rules}"


def _cost(plan: Plan, settings: InstructionConfig) -> str:
    endpoint = settings.endpoint
    price = price_table(settings.prices).price(endpoint.model)
    if price is None:
        return f"unknown: {endpoint.model} has no price; name a table that gives it one (prices)"
    about = _dollars(price, plan.prompt_tokens, plan.completion_tokens)
    if endpoint.max_tokens is None:
        return f"about {about:,.2f} USD; max_tokens is null, so there is no upper limit"
    attempts = settings.asking.attempts
    most = _dollars(price, plan.prompt_tokens * attempts, plan.requests * attempts * endpoint.max_tokens)
    return f"about {about:,.2f} USD; {most:,.2f} USD if every answer took all attempts and max_tokens"


def _dollars(price: Price, sent: int, answered: int) -> float:
    return (sent * price.prompt + answered * price.completion) / 1e6
