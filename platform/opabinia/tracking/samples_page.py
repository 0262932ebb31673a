"""A page of sample questions with their pictures and answers: one HTML file that needs no other."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE = 320
"""Longer side of a picture on the page, pixels."""

_FAMILY_TITLES = {
    "general": "General",
    "knowledge": "Knowledge",
    "ocr_chart": "OCR & chart",
    "vision_centric": "Vision-centric",
}

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --muted: #5b6670; --ground: #f5f6f7; --card: #fff; --line: #dde1e5;
  --right: #14713b; --right-ground: #e3f4e9; --wrong: #b3261e; --wrong-ground: #fbe7e5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --muted: #9aa5b0; --ground: #16191d; --card: #1f2429;
  --line: #343b43; --right: #7fd6a0; --right-ground: #173324; --wrong: #ff9a91; --wrong-ground: #3b1d1b; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 24px; background: var(--ground); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 22px; margin: 0 0 4px; }
h2 { font-size: 17px; margin: 32px 0 12px; }
.muted { color: var(--muted); font-weight: 400; }
nav { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 14px; }
nav a { color: inherit; text-decoration: none; border: 1px solid var(--line); border-radius: 999px; padding: 3px 12px;
  background: var(--card); }
.cards { display: grid; gap: 16px; grid-template-columns: repeat(auto-fill, minmax(270px, 1fr)); }
article { background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; display: flex;
  flex-direction: column; }
.picture { height: 200px; display: grid; place-items: center; background: var(--ground);
  border-bottom: 1px solid var(--line); color: var(--muted); }
.picture img { width: 100%; height: 200px; object-fit: contain; image-rendering: auto; }
.text { padding: 12px 14px 14px; display: flex; flex-direction: column; gap: 10px; flex: 1; }
.task { font-size: 12px; color: var(--muted); }
.question { font-weight: 600; overflow-wrap: anywhere; }
ul { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 6px; }
li { border: 1px solid var(--line); border-radius: 6px; padding: 1px 8px; font-size: 13px; }
li.gold { border-color: var(--right); color: var(--right); font-weight: 600; }
dl { margin: auto 0 0; display: grid; grid-template-columns: auto 1fr; gap: 6px 10px; align-items: baseline; }
dt { color: var(--muted); font-size: 13px; }
dd { margin: 0; padding: 2px 8px; border-radius: 6px; overflow-wrap: anywhere; }
.right { color: var(--right); background: var(--right-ground); }
.wrong { color: var(--wrong); background: var(--wrong-ground); }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One question as a person should see it; `image` opens its picture, None for a question in words alone."""

    family: str
    task: str
    question: str
    choices: tuple[str, ...]
    right_text: str
    answer: str
    correct: bool
    blind_answer: str
    blind_correct: bool
    image: Callable[[], Image] | None


def samples_page(samples: Sequence[Sample], *, title: str) -> str:
    """The whole page. Every text is escaped; raises what opening a picture raises."""
    families = list(dict.fromkeys(sample.family for sample in samples))
    links = "".join(f'<a href="#{html.escape(f)}">{_family_title(f)}</a>' for f in families)
    sections = "".join(_section(family, [s for s in samples if s.family == family]) for family in families)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<h1>{html.escape(title)}</h1>\n<div class="muted">{html.escape(_tally(samples))}</div>\n'
        f"<nav>{links}</nav>\n{sections}</body>\n</html>\n"
    )


def _section(family: str, samples: Sequence[Sample]) -> str:
    cards = "\n".join(_card(sample) for sample in samples)
    heading = f'{_family_title(family)} <span class="muted">{html.escape(_tally(samples))}</span>'
    opening = f'<section id="{html.escape(family)}">\n<h2>{heading}</h2>\n'
    return f'{opening}<div class="cards">\n{cards}\n</div>\n</section>\n'


def _card(sample: Sample) -> str:
    choices = "".join(_choice(choice, sample.right_text) for choice in sample.choices or (sample.right_text,))
    return (
        f'<article>\n<div class="picture">{picture(sample.image, sample.question)}</div>\n<div class="text">\n'
        f'<div class="task">{html.escape(sample.task)}</div>\n'
        f'<div class="question">{html.escape(sample.question)}</div>\n'
        f"<ul>{choices}</ul>\n<dl>{_answer('with image', sample.answer, sample.correct)}"
        f"{_answer('without', sample.blind_answer, sample.blind_correct)}</dl>\n</div>\n</article>"
    )


def _choice(choice: str, right: str) -> str:
    mark = ' class="gold" title="the right answer"' if choice == right else ""
    return f"<li{mark}>{html.escape(choice)}</li>"


def _answer(label: str, text: str, correct: bool) -> str:
    # A mark beside the colour, for those who cannot tell the colours apart.
    sign, name = ("✓", "right") if correct else ("✗", "wrong")
    return f'<dt>{label}</dt><dd class="{name}" title="{name}">{sign} {html.escape(text.strip() or "(nothing)")}</dd>'


def picture(image: Callable[[], Image] | None, question: str) -> str:
    """An element that holds the picture itself, small. Raises what opening it raises."""
    if image is None:
        return "no picture"
    return f'<img alt="picture for: {html.escape(question)}" src="data:image/jpeg;base64,{_jpeg(image())}">'


def _jpeg(shown: Image) -> str:
    picture = shown.copy()
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=88)
    return base64.b64encode(content.getvalue()).decode()


def _tally(samples: Sequence[Sample]) -> str:
    seen, blind = sum(s.correct for s in samples), sum(s.blind_correct for s in samples)
    noun = "question" if len(samples) == 1 else "questions"
    return f"{len(samples)} {noun}: {seen} right with the image, {blind} without"


def _family_title(family: str) -> str:
    return html.escape(_FAMILY_TITLES.get(family, family))
