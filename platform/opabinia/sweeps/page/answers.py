"""The same questions answered by the best trials, side by side under the picture."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import partial

from opabinia.evaluation.benchmarks.formats.pictures import pictures_of
from opabinia.evaluation.pictures import OpenPicture
from opabinia.evaluation.questions import Question
from opabinia.evaluation.samples import AnswerPair, load_answers
from opabinia.evaluation.subset import spread_over_tasks
from opabinia.sweeps.page.shown import ShownTrial
from opabinia.tracking.heat_map import FAMILY_TITLES
from opabinia.tracking.samples_page import picture

TRIALS = 3
_QUESTIONS_PER_FAMILY = 6


def answer_cards(trials: Sequence[ShownTrial]) -> str:
    """Of the first few of `trials`; some questions of each family, chosen without regard to the answers.

    Raises ValueError naming the file where answers or a picture cannot be read.
    """
    shown = trials[:TRIALS]
    pairs = [load_answers(trial.checkpoint / "answers.json") for trial in shown]
    by_trial = [{_key(pair.question): pair for pair in of_trial} for of_trial in pairs]
    open_picture = pictures_of(shown[0].run.benchmark)
    names = [f"#{place}" for place in range(1, len(shown) + 1)]
    cards = [
        _card(pair.question, open_picture, list(zip(names, answers, strict=True)))
        for pair in _spread(pairs[0])
        if len(answers := [one[_key(pair.question)] for one in by_trial if _key(pair.question) in one]) == len(shown)
    ]
    legend = " · ".join(f"{place} {trial.report.trial_id}" for place, trial in zip(names, shown, strict=True))
    return f'<div class="muted">{html.escape(legend)}</div>\n<div class="cards">\n{"".join(cards)}</div>\n'


def _spread(pairs: Sequence[AnswerPair]) -> list[AnswerPair]:
    families = dict.fromkeys(pair.question.family for pair in pairs)
    members = [[pair for pair in pairs if pair.question.family == family] for family in families]
    return [pair for some in members for pair in spread_over_tasks(some, _QUESTIONS_PER_FAMILY)]


def _key(question: Question) -> tuple[str, str]:
    return question.family, question.id


def _card(question: Question, open_picture: OpenPicture, answers: Sequence[tuple[str, AnswerPair]]) -> str:
    shown = picture(partial(open_picture, question.image) if question.image else None, question.question)
    family = FAMILY_TITLES.get(question.family, question.family)
    rows = "".join(_row(name, pair) for name, pair in answers)
    return (
        f'<article>\n<div class="picture">{shown}</div>\n<div class="text">\n'
        f'<div class="muted">{html.escape(family)} · {html.escape(question.task)}</div>\n'
        f'<div class="question">{html.escape(question.question)}</div>\n'
        f"<div>right: <strong>{html.escape(question.right_text)}</strong></div>\n"
        f"<table><tr><th></th><th>with image</th><th>without</th></tr>{rows}</table>\n</div>\n</article>\n"
    )


def _row(name: str, pair: AnswerPair) -> str:
    seen, blind = _answer(pair.answer, pair.correct), _answer(pair.blind_answer, pair.blind_correct)
    return f'<tr><th class="trial">{html.escape(name)}</th>{seen}{blind}</tr>'


def _answer(text: str, correct: bool) -> str:
    # A mark beside the colour, for those who cannot tell the colours apart.
    sign, name = ("✓", "right") if correct else ("✗", "wrong")
    return f'<td class="{name}">{sign} {html.escape(text.strip() or "(nothing)")}</td>'
