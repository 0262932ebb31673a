"""The page from top to bottom."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from opabinia.sweeps.page.answers import TRIALS, answer_cards
from opabinia.sweeps.page.commands import rerun_command, trial_commands
from opabinia.sweeps.page.cost import cost_plot
from opabinia.sweeps.page.plots import curve_plot, family_plot, rate_plot
from opabinia.sweeps.page.shown import ShownTrial, ranked_trials
from opabinia.tracking.ablation import COLUMNS, AblationRow, table_rows

PAGE = "sweep.html"
_SHOWN = [place for place, column in enumerate(COLUMNS) if column not in ("seconds", "trial")]


def sweep_page(
    name: str,
    trials: Sequence[ShownTrial],
    rows: Sequence[AblationRow],
    *,
    settings: Path,
    comparison: str,
    pictures: Mapping[str, Path],
) -> str:
    """The whole page; every text is escaped.

    rows: those of the ablation. settings: the sweep's experiment file. comparison: of all configurations with the baseline, as
    markdown. pictures: heat maps and others, by their titles.
    Raises ValueError naming the file where a trial's answers or a picture cannot be read.
    """
    ranked = ranked_trials(trials)
    sections = {
        "Ranking": ("Scores are percent. Best first; stopped and failed trials as they were then.", _ranking(rows)),
        "Differences": ("", f'<div class="wide comparison">{_from_markdown(comparison)}</div>\n'),
        **{title: ("", _embedded(path, title)) for title, path in pictures.items()},
        "With image, without, by guessing": ("What a family gains from the image.", _plot(family_plot(ranked))),
        "Training": ("Losses, averaged over neighbouring steps; the best trials in colour.", _plot(curve_plot(ranked))),
        "Cost against score": (
            "The line joins the trials that none beats for less; numbers are ranks.",
            _plot(cost_plot(ranked)),
        ),
        "Learning rate against batch": ("Dashed: lr·√(batch / base batch).", _plot(rate_plot(ranked))),
        "Answers": (
            f"Of the best {min(TRIALS, len(ranked))}; questions chosen without regard to them.",
            answer_cards(ranked),
        ),
        "Go on from here": ("Each command as it is typed in the repository.", _commands(ranked, settings)),
    }
    title, style = html.escape(name), files("opabinia.sweeps.page").joinpath("style.css").read_text(encoding="utf-8")
    links = "".join(f'<a href="#{_anchor(heading)}">{html.escape(heading)}</a>' for heading in sections)
    body = "".join(_section(heading, note, content) for heading, (note, content) in sections.items())
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        f'<div class="muted">{html.escape(_about(ranked))}</div>\n<nav>{links}</nav>\n{body}</body>\n</html>\n'
    )


def _about(trials: Sequence[ShownTrial]) -> str:
    minutes = sum(trial.device_minutes for trial in trials)
    reports = {(trial.report.prompt_kind, trial.report.scorer, trial.report.evaluator_version) for trial in trials}
    scored = "; ".join(
        f"prompt kind {kind}, scorer {scorer}, formulas {version}" for kind, scorer, version in sorted(reports)
    )
    return f"{len(trials)} trials, {minutes:.0f} device minutes; scored with {scored}"


def _section(heading: str, note: str, content: str) -> str:
    return (
        f'<section id="{_anchor(heading)}">\n<h2>{html.escape(heading)}</h2>\n'
        f'<div class="muted">{html.escape(note)}</div>\n{content}</section>\n'
    )


def _ranking(rows: Sequence[AblationRow]) -> str:
    cells = [[row[place] for place in _SHOWN] for row in table_rows(rows)]
    numeric = [any(isinstance(row[place], int | float) for row in cells) for place in range(len(_SHOWN))]
    headings = [COLUMNS[place].replace("_", " ") for place in _SHOWN]
    head = "".join(f"<th{_number(right)}>{html.escape(one)}</th>" for one, right in zip(headings, numeric, strict=True))
    body = "".join(_row(row, numeric, best=place == 0) for place, row in enumerate(cells))
    return f'<div class="wide"><table>\n<tr>{head}</tr>\n{body}</table></div>\n'


def _row(values: Sequence[object], numeric: Sequence[bool], *, best: bool) -> str:
    cells = zip(values, numeric, strict=True)
    inner = "".join(f"<td{_number(right)}>{html.escape(_text(value))}</td>" for value, right in cells)
    return f'<tr class="first">{inner}</tr>\n' if best else f"<tr>{inner}</tr>\n"


def _text(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _number(right: bool) -> str:
    return ' class="number"' if right else ""


def _from_markdown(text: str) -> str:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table").render(text)


def _plot(svg: str) -> str:
    return f'<div class="plot">{svg}</div>\n'


def _embedded(path: Path, title: str) -> str:
    content = base64.b64encode(path.read_bytes()).decode()
    return f'<div class="plot"><img alt="{html.escape(title)}" src="data:image/png;base64,{content}"></div>\n'


def _commands(trials: Sequence[ShownTrial], settings: Path) -> str:
    whole = f"<pre>{html.escape(rerun_command(settings))}</pre>\n"
    each = "".join(
        f"<details><summary>{html.escape(trial.report.trial_id)}</summary>\n"
        + "".join(
            f'<div class="muted">{html.escape(what)}</div><pre>{html.escape(command)}</pre>\n'
            for what, command in trial_commands(trial, settings).items()
        )
        + "</details>\n"
        for trial in trials
    )
    return f'<div class="muted">the whole sweep again</div>{whole}{each}'


def _anchor(heading: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in heading.lower())
