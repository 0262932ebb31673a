"""An experiment's steps, each of which says what it will take and is run once; what was answered or fetched is never asked again.

output/answers/            every answer, whichever step asked
output/wiki/               what the wiki gave
output/topics-<hash>/      topics/topics.jsonl, report.json
output/pages-<hash>/       pages/pages.jsonl, images/
output/records-<hash>/     generated/records/part-*.jsonl, rejected.jsonl, report.json
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from opabinia.data.instructions.client import api_key, check_reachable
from opabinia.data.instructions.experiment import CaptionSource, InstructionExperiment, PageSource
from opabinia.data.instructions.pipeline import (
    caption_prompts,
    fetch_pages,
    generate_from_captions,
    generate_from_pages,
    generate_topics,
    page_prompts,
    topic_prompts,
)
from opabinia.data.instructions.plan import plan_asking, render_fetching, render_plan
from opabinia.data.instructions.progress import told_progress
from opabinia.data.instructions.recipes import Recipe, pages_recipe, records_recipe, topics_recipe
from opabinia.data.instructions.requests import Prompt
from opabinia.data.instructions.summary import render_asked
from opabinia.data.instructions.topics import FIELDS, topic_names
from opabinia.data.steps import run_step, sole_writer, step_folder

_ANSWERS, _WIKI = "answers", "wiki"


@dataclass(frozen=True, slots=True)
class Generated:
    """folder: with records/, rejected.jsonl and report.json. images: folder that the records' pictures are in."""

    folder: Path
    images: Path


@dataclass(frozen=True, slots=True)
class _Step:
    """plan: says what it will take, and returns the requests to a model. make: fills a folder, with so many requests."""

    name: str
    recipe: Recipe
    plan: Callable[[], int]
    make: Callable[[Path, int], object]


def generate(experiment: InstructionExperiment, *, connect: Callable[[], object]) -> Generated | None:
    """Run the experiment's steps that are not done, and print what each will take before it begins.

    connect: starts or joins Ray; called only when there is something to ask. Returns None when the experiment ends before there are
    records. Raises ValueError naming the field at fault; what was answered or fetched until then is kept.
    """

    def run(step: _Step) -> Path:
        done = step_folder(experiment.output, step.name, step.recipe).is_dir()
        requests = 0 if done else step.plan()
        return run_step(experiment.output, step.name, step.recipe, lambda draft: step.make(draft, requests))

    with sole_writer(experiment.output):
        return _all_steps(experiment, connect, run)


def plan_generation(experiment: InstructionExperiment) -> Generated | None:
    """Print what the first step that is not done will take, and do nothing; otherwise like `generate`."""

    def find(step: _Step) -> Path | None:
        folder = step_folder(experiment.output, step.name, step.recipe)
        if folder.is_dir():
            return folder
        step.plan()
        return None

    return _all_steps(experiment, lambda: None, find)


def caption_files(source: CaptionSource) -> list[Path]:
    """The JSONL files of a source, each once, those of a folder by name. Raises ValueError when there are none."""
    files = list[Path]()
    for place, path in enumerate(source.files):
        found = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not found or not path.exists():
            raise ValueError(
                f"source.files.{place}: {path} holds no .jsonl file; give a JSONL file or a folder of them"
            )
        files += found
    return list(dict.fromkeys(files))


def _all_steps(
    experiment: InstructionExperiment, connect: Callable[[], object], run: Callable[[_Step], Path | None]
) -> Generated | None:
    source = experiment.source
    if isinstance(source, CaptionSource):
        done = run(_caption_step(experiment, caption_files(source), connect))
        return Generated(done / "generated", source.images) if done else None
    if (topics := run(_topic_step(experiment, source, connect))) is None:
        return None
    print(f"{render_asked(topics / 'topics')}\ntopics:   {topics / 'topics' / 'topics.jsonl'}", flush=True)
    if source.until == "topics" or (pages := run(_fetching_step(experiment, source, topics))) is None:
        return None
    print(f"pages:    {pages / 'pages' / 'pages.jsonl'}", flush=True)
    if source.until == "pages" or (done := run(_page_step(experiment, pages, connect))) is None:
        return None
    return Generated(done / "generated", pages / "pages")


def _caption_step(experiment: InstructionExperiment, files: list[Path], connect: Callable[[], object]) -> _Step:
    return _asking_step(
        "records", records_recipe(experiment, files), experiment, connect,
        lambda: caption_prompts(experiment, files),
        lambda draft, answers: generate_from_captions(experiment, files, draft / "generated", answers=answers),
    )  # fmt: skip


def _topic_step(experiment: InstructionExperiment, source: PageSource, connect: Callable[[], object]) -> _Step:
    fields = source.fields or FIELDS
    if not fields.is_file():
        raise ValueError(f"source.fields: there is no file {fields}; write lines 'Field: subfield, subfield'")
    return _asking_step(
        "topics", topics_recipe(experiment, fields), experiment, connect,
        lambda: topic_prompts(experiment, fields),
        lambda draft, answers: generate_topics(experiment, fields, draft / "topics", answers=answers),
        "then:     pages about them, and a request for each captioned picture there; each step is planned when its input is known",
    )  # fmt: skip


def _fetching_step(experiment: InstructionExperiment, source: PageSource, folder: Path) -> _Step:
    topics, cache = folder / "topics" / "topics.jsonl", experiment.output / _WIKI
    names = topic_names(topics)

    def plan() -> int:
        print(f"\npages\n{render_fetching(len(names), source.wiki)}", flush=True)
        return 0

    def make(draft: Path, _: int) -> None:
        fetch_pages(source.wiki, topics, draft / "pages", cache=cache)

    return _Step("pages", pages_recipe(source.wiki, names), plan, make)


def _page_step(experiment: InstructionExperiment, folder: Path, connect: Callable[[], object]) -> _Step:
    pages = folder / "pages" / "pages.jsonl"
    return _asking_step(
        "records", records_recipe(experiment, [pages]), experiment, connect,
        lambda: page_prompts(experiment, pages),
        lambda draft, answers: generate_from_pages(experiment, pages, draft / "generated", answers=answers),
    )  # fmt: skip


def _asking_step(
    name: str,
    recipe: Recipe,
    experiment: InstructionExperiment,
    connect: Callable[[], object],
    prompts: Callable[[], Iterable[Prompt]],
    fill: Callable[[Path, Path], object],
    outlook: str = "",
) -> _Step:
    """A step that asks; Ray is started only where there is something to ask. outlook: a last line of its plan."""
    answers = experiment.output / _ANSWERS

    def plan() -> int:
        found = plan_asking(prompts(), experiment, answers)
        print("\n".join(filter(None, [f"\n{name}", render_plan(found, experiment), outlook])), flush=True)
        return found.requests

    def make(draft: Path, requests: int) -> None:
        if not requests:
            fill(draft, answers)
            return
        api_key(experiment.endpoint)
        check_reachable(experiment.endpoint)
        connect()
        with told_progress(answers, requests, experiment.progress_s):
            fill(draft, answers)

    return _Step(name, recipe, plan, make)
