"""The page of a sweep: one file, every name as text, the best trials' answers side by side."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from opabinia.sweeps.page.answers import answer_cards
from opabinia.sweeps.page.page import sweep_page
from opabinia.sweeps.page.plots import curve_plot, family_plot, rate_plot
from opabinia.sweeps.page.shown import ShownTrial
from opabinia.sweeps.publish import ablation_row
from tests.sweeps.page.sweep import runs_of, trial, write_experiment

COMPARISON = """# against <b>clip</b>

| configuration | difference |
| --- | ---: |
| sva | +1.0 |

- **One seed each**
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return write_experiment(tmp_path)


@pytest.fixture
def trials(settings: Path, tmp_path: Path) -> list[ShownTrial]:
    """Four of them, the third the best."""
    scored = zip(runs_of(settings), (40.0, 50.0, 80.0, 60.0), ("blue", "red", "red", "green"), strict=False)
    return [trial(run, tmp_path, score, answer) for run, score, answer in scored]


def page(trials: list[ShownTrial], settings: Path, name: str = "sweep") -> str:
    rows = [ablation_row(one.report) for one in trials]
    return sweep_page(name, trials, rows, settings=settings, comparison=COMPARISON, pictures={})


def test_it_needs_no_other_file_and_no_network(trials: list[ShownTrial], settings: Path) -> None:
    text = page(trials, settings)
    assert set(re.findall(r'src="([a-z]+):', text)) == {"data"}
    assert all(address.startswith("#") for address in re.findall(r'href="([^"]*)"', text))
    assert "<script" not in text


def test_its_links_lead_to_its_sections(trials: list[ShownTrial], settings: Path) -> None:
    text = page(trials, settings)
    nav = text[text.index("<nav>") : text.index("</nav>")]
    assert re.findall(r'href="#([^"]+)"', nav) == re.findall(r'<section id="([^"]+)"', text)


def test_names_are_text_and_nothing_else(trials: list[ShownTrial], settings: Path) -> None:
    assert "<h1>&lt;i&gt;5 &amp; 6</h1>" in page(trials, settings, "<i>5 & 6")


def test_differences_are_a_table_whose_names_are_text(trials: list[ShownTrial], settings: Path) -> None:
    text = page(trials, settings)
    assert "<h1>against &lt;b&gt;clip&lt;/b&gt;</h1>" in text
    assert re.search(r"<td>sva</td>\s*<td[^>]*>\+1\.0</td>", text)
    assert "<strong>One seed each</strong>" in text


def test_the_best_come_first_wherever_trials_are_named(trials: list[ShownTrial], settings: Path) -> None:
    text = page(trials, settings)
    in_order = [trials[place].report.trial_id for place in (2, 3, 1, 0)]
    commands = text[text.index("Go on from here</h2>") :]
    assert re.findall(r"<summary>([^<]+)</summary>", commands) == in_order
    bars = family_plot([trials[place] for place in (2, 3, 1, 0)])
    assert sorted(in_order, key=bars.index) == in_order


def test_the_same_question_is_answered_side_by_side(trials: list[ShownTrial]) -> None:
    cards = answer_cards([trials[2], trials[3], trials[0], trials[1]])
    first = cards[cards.index("<article>") : cards.index("</article>")]
    answered = re.findall(r'<td class="(right|wrong)">. ([a-z]+)</td>', first)
    assert answered == [
        ("right", "red"),
        ("wrong", "blue"),
        ("wrong", "green"),
        ("wrong", "blue"),
        *[("wrong", "blue")] * 2,
    ]
    assert cards.count("<article>") == 3


def test_answers_that_are_not_there_are_named(trials: list[ShownTrial]) -> None:
    (trials[0].checkpoint / "answers.json").unlink()
    with pytest.raises(ValueError, match=rf"answers: {trials[0].checkpoint}/answers.json does not exist"):
        answer_cards(trials)


def test_a_plot_of_the_same_trials_is_the_same_text(trials: list[ShownTrial]) -> None:
    assert curve_plot(trials) == curve_plot(trials)


def test_every_stage_and_part_has_its_rate_and_parts_with_one_rate_are_named_together(trials: list[ShownTrial]) -> None:
    text = rate_plot(trials)
    assert "align: connector<" in text
    assert "instruct: connector, language_model<" in text


def test_losses_that_were_skipped_leave_a_curve(trials: list[ShownTrial]) -> None:
    gaps = [{"step": 1.0}, {"step": 2.0, "loss": 1.0}]
    assert "<svg" in curve_plot([ShownTrial(trials[0].run, trials[0].report, gaps, trials[0].checkpoint)])
