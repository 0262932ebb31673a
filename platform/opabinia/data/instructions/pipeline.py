"""The steps of instruction generation; each writes a folder that appears whole or not at all.

captions -> records                       (PMC-Cambrian)
fields -> topics -> pages -> records      (the Cambrian data engine, Tong et al. 2024, §5.1)
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from opabinia.data.instructions.asking import Answered, ask_all
from opabinia.data.instructions.captions import caption_subjects
from opabinia.data.instructions.conversations import make_record
from opabinia.data.instructions.costs import price_table
from opabinia.data.instructions.fetching import fetch_sections
from opabinia.data.instructions.pages import page_subjects
from opabinia.data.instructions.report import Report
from opabinia.data.instructions.requests import Prompt
from opabinia.data.instructions.settings import InstructionConfig
from opabinia.data.instructions.subjects import Rejection, Subject
from opabinia.data.instructions.templates import TemplateTable, template_table
from opabinia.data.instructions.topics import TEMPLATE as TOPICS
from opabinia.data.instructions.topics import named_topics, read_fields, topic_names, topic_prompt
from opabinia.data.instructions.wiki import WikiConfig, media_wiki
from opabinia.data.shards import write_shards
from opabinia.storage.atomic import whole_folder

Subjects = Callable[[], Iterable[Subject | Rejection]]


def caption_prompts(settings: InstructionConfig, captions: Sequence[Path]) -> Iterator[Prompt]:
    """What `generate_from_captions` asks."""
    table = template_table(settings.templates)
    return _prompts(caption_subjects(captions, table, settings), table)


def page_prompts(settings: InstructionConfig, pages: Path) -> Iterator[Prompt]:
    """What `generate_from_pages` asks."""
    return _prompts(page_subjects(pages, settings), template_table(settings.templates))


def topic_prompts(settings: InstructionConfig, fields: Path) -> Iterator[Prompt]:
    """What `generate_topics` asks."""
    template = template_table(settings.templates).named(TOPICS)
    return (topic_prompt(each, template, settings) for each in read_fields(fields))


def generate_from_captions(
    settings: InstructionConfig, captions: Sequence[Path], folder: Path, *, answers: Path
) -> Path:
    """Question/answer pairs about captioned pictures, of JSONL files that `caption_subjects` describes.

    answers: folder of the answer log, which may serve many runs and inputs. Writes records/part-00000.jsonl, … in the order of the
    input, rejected.jsonl ({place, source, reason}) and report.json into `folder`, and returns the folder of the records. Raises
    ValueError, with nothing but the answer log written, when asking fails or no record comes of it.
    """
    table = template_table(settings.templates)
    return _generate(settings, table, lambda: caption_subjects(captions, table, settings), folder, answers)


def generate_from_pages(settings: InstructionConfig, pages: Path, folder: Path, *, answers: Path) -> Path:
    """A question and its answer about each captioned picture of the sections in `pages`; otherwise as from captions."""
    table = template_table(settings.templates)
    return _generate(settings, table, lambda: page_subjects(pages, settings), folder, answers)


def generate_topics(settings: InstructionConfig, fields: Path, folder: Path, *, answers: Path) -> Path:
    """Topics of the fields in a file; writes topics.jsonl and report.json into `folder` and returns the former."""
    template = template_table(settings.templates).named(TOPICS)
    subfields = read_fields(fields)
    answered = ask_all(lambda: topic_prompts(settings, fields), settings, answers)
    report = Report()
    with whole_folder(folder) as draft:
        _write_lines(draft / "topics.jsonl", named_topics(subfields, template, answered, settings, report))
        _write_report(draft, report, settings)
    return folder / "topics.jsonl"


def fetch_pages(settings: WikiConfig, topics: Path, folder: Path, *, cache: Path) -> Path:
    """Sections and pictures of a wiki's pages about the topics of topics.jsonl.

    cache: folder of what was fetched, which a second run does not fetch again. Writes pages.jsonl and images/ into `folder` and
    returns the former. Raises ValueError when the wiki gives no answer.
    """
    names = topic_names(topics)
    with whole_folder(folder) as draft:
        asyncio.run(fetch_sections(media_wiki(settings, cache), names, draft, settings.at_once))
    return folder / "pages.jsonl"


def _generate(
    settings: InstructionConfig, table: TemplateTable, subjects: Subjects, folder: Path, answers: Path
) -> Path:
    answered = ask_all(lambda: _prompts(subjects(), table), settings, answers)
    report, rejections = Report(), list[Rejection]()
    with whole_folder(folder) as draft:
        records = _records(subjects(), table, answered, settings, report, rejections)
        write_shards(_at_least_one(records, folder, rejections), draft / "records", settings.shard_size)
        _write_lines(draft / "rejected.jsonl", map(asdict, rejections))
        _write_report(draft, report, settings)
    return folder / "records"


def _prompts(subjects: Iterable[Subject | Rejection], table: TemplateTable) -> Iterator[Prompt]:
    return (_prompt(subject, table) for subject in subjects if isinstance(subject, Subject))


def _prompt(subject: Subject, table: TemplateTable) -> Prompt:
    return table.named(subject.template).prompt(subject.texts)


def _records(
    subjects: Iterable[Subject | Rejection],
    table: TemplateTable,
    answered: Answered,
    settings: InstructionConfig,
    report: Report,
    rejections: list[Rejection],
) -> Iterator[dict[str, Any]]:
    """The records in the order of the subjects; what becomes of each is entered into the report."""
    for subject in subjects:
        found = subject if isinstance(subject, Rejection) else _record(subject, table, answered, settings, report)
        if isinstance(found, Rejection):
            report.add_rejection(found.source, found.reason)
            rejections.append(found)
        else:
            report.add_record(found["source"], len(found["conversations"]) // 2, found["licence"])
            yield found


def _record(
    subject: Subject, table: TemplateTable, answered: Answered, settings: InstructionConfig, report: Report
) -> dict[str, Any] | Rejection:
    outcome = answered.outcome(_prompt(subject, table))
    report.add_attempts(outcome)
    if outcome.content is None:
        return Rejection(subject.id, subject.source, outcome.reason)
    return make_record(subject, table.named(subject.template), outcome.content, outcome.attempts[-1], settings)


def _at_least_one(
    records: Iterator[dict[str, Any]], folder: Path, rejections: list[Rejection]
) -> Iterator[dict[str, Any]]:
    first = next(records, None)
    if first is None:
        reason = f"{rejections[0].place}: {rejections[0].reason}" if rejections else "the input is empty"
        raise ValueError(
            f"{folder}: no record came of {len(rejections)} subjects, so nothing is written; the first: {reason}"
        )
    yield first
    yield from records


def _write_report(draft: Path, report: Report, settings: InstructionConfig) -> None:
    summary = report.summary(price_table(settings.prices))
    (draft / "report.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_lines(path: Path, rows: Iterable[Any]) -> None:
    with path.open("w", encoding="utf-8") as handle:
        handle.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
