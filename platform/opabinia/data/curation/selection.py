"""Choosing records from a data set's index: the limit of each source first, then the shares of categories."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opabinia.data.arrays import save_array
from opabinia.data.arrow import ArrowTable, pa
from opabinia.data.curation.draw import draw_numbers, lowest
from opabinia.data.curation.index import Codes, Labels, labels, read_index
from opabinia.data.curation.mixing import asked_counts
from opabinia.data.curation.plot import draw_cumulative_counts
from opabinia.data.curation.settings import (
    CurationConfig,
    Preset,
    category_table,
    published_thresholds,
)
from opabinia.data.scramble import STEP, Words, scramble
from opabinia.data.source_names import source_key
from opabinia.names import unknown
from opabinia.storage.atomic import whole_text

Rows = NDArray[np.int64]
"""Row numbers of the index, rising."""

Mask = NDArray[np.bool_]
"""[rows]: whether a row is chosen."""


@dataclass(frozen=True, slots=True)
class SourceCount:
    """Records of one source: all, those within the limit, and those kept after mixing."""

    source: str
    records: int
    within_limit: int
    kept: int


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """Records of one category: all, those that the limits leave, those asked for (null without shares), kept and lacking."""

    category: str
    records: int
    within_limit: int
    asked: int | None
    kept: int
    short: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What curation kept, asked against got; `settings` are those that held."""

    settings: Preset
    records: int
    kept: int
    sources: tuple[SourceCount, ...]
    categories: tuple[CategoryCount, ...]

    def as_json(self) -> str:
        """All of it as JSON text."""
        fields = {name: [asdict(count) for count in getattr(self, name)] for name in ("sources", "categories")}
        settings = self.settings.model_dump(exclude={"published"})
        return json.dumps({"settings": settings, "records": self.records, "kept": self.kept, **fields}, indent=1)


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows to keep, and the account of them."""

    rows: Rows
    summary: Summary


def choose(settings: CurationConfig, index: ArrowTable) -> Selection:
    """Choose rows of an index (columns id, source, category), the same ones for the same seed however the data set is sharded.

    The draws of a limit and of mixing are independent, each is random within its source or category, and what a smaller limit or total
    keeps, a larger one keeps too. A record's own category goes before the table's.

    Raises ValueError for shares of a category that nobody knows, and for sources without a category where shares are asked for.
    """
    wanted = settings.resolved
    sources = labels(index.column("source"))
    categories = _categories(settings, sources, labels(index.column("category")))
    numbers = draw_numbers(index.column("id"), sources, settings.seed)
    within = _within_limit(wanted, sources, numbers)
    asked = dict[str, int]()
    kept = within
    if wanted.shares:
        _check_shares(wanted, sources, categories)
        available = dict(zip(categories.names, categories.count(within), strict=True))
        asked = asked_counts(wanted.shares, available, wanted.total, settings.shortfall)
        kept = _mixed(asked, categories, within, numbers)
    summary = Summary(
        settings=wanted,
        records=len(kept),
        kept=int(kept.sum()),
        sources=_source_counts(sources, within, kept),
        categories=_category_counts(categories, within, kept, asked),
    )
    return Selection(np.flatnonzero(kept).astype(np.int64), summary)


def curate(settings: CurationConfig, index: Path, folder: Path, rows: Rows | None = None) -> Selection:
    """Choose from an index.arrow, or from some rows of it, rising; `rows` of the selection are places among these.

    Writes rows.npy (int64, rows of the index, rising), summary.json and sources.png into the folder.
    """
    table = read_index(index)
    selection = choose(settings, table if rows is None else table.take(pa.array(rows)))
    save_array(selection.rows if rows is None else rows[selection.rows], folder / "rows.npy")
    with whole_text(folder / "summary.json") as text:
        text.write(selection.summary.as_json() + "\n")
    counts = [source.records for source in selection.summary.sources]
    limits = {*published_thresholds(), selection.summary.settings.threshold or 0} - {0}
    draw_cumulative_counts(counts, sorted(limits), folder / "sources.png")
    return selection


def _categories(settings: CurationConfig, sources: Labels, own: Labels) -> Labels:
    table = category_table(settings)
    names = list(dict.fromkeys([*table.categories, *own.names]))
    place = {name: code for code, name in enumerate(names)}
    of_source = [place.get(table.by_source.get(source_key(source), ""), -1) for source in sources.names]
    # The −1 of a row without source or category finds the last entry.
    from_table = np.array([*of_source, -1], dtype=np.int64)[sources.codes]
    from_record = np.array([*(place[name] for name in own.names), -1], dtype=np.int64)[own.codes]
    return Labels(tuple(names), np.where(from_record >= 0, from_record, from_table))


def _within_limit(wanted: Preset, sources: Labels, numbers: Words) -> Mask:
    if wanted.threshold is None:
        return np.ones(len(numbers), dtype=np.bool_)
    # Records that name no source are one source.
    groups: Codes = np.where(sources.codes >= 0, sources.codes, len(sources.names))
    return lowest(numbers, groups, [wanted.threshold] * (len(sources.names) + 1))


def _mixed(asked: dict[str, int], categories: Labels, within: Mask, numbers: Words) -> Mask:
    # Numbers of their own: those that a limit has let through are low, and would put large sources before small ones.
    groups: Codes = np.where(within, categories.codes, -1)
    return lowest(scramble(numbers ^ STEP), groups, [asked.get(name, 0) for name in categories.names])


def _check_shares(wanted: Preset, sources: Labels, categories: Labels) -> None:
    for name in wanted.shares:
        if name not in categories.names:
            raise unknown("category", name, categories.names, place="shares")
    nowhere = np.unique(sources.codes[categories.codes < 0])
    if len(nowhere):
        name = (*sources.names, "unknown")[int(nowhere[0])]
        others = f" and {len(nowhere) - 1} more" if len(nowhere) > 1 else ""
        raise ValueError(f"categories: source {name!r}{others} has no category; list it in a table of your own")


def _source_counts(sources: Labels, within: Mask, kept: Mask) -> tuple[SourceCount, ...]:
    counted = zip(sources.names, sources.count(), sources.count(within), sources.count(kept), strict=True)
    return tuple(SourceCount(*entry) for entry in sorted(counted, key=lambda entry: entry[1]))


def _category_counts(categories: Labels, within: Mask, kept: Mask, asked: dict[str, int]) -> tuple[CategoryCount, ...]:
    counts: Sequence[list[int]] = (categories.count(), categories.count(within), categories.count(kept))
    found = list[CategoryCount]()
    for name, records, left, got in zip(categories.names, *counts, strict=True):
        wanted = asked.get(name, 0) if asked else None
        if records or wanted:
            found.append(CategoryCount(name, records, left, wanted, got, max(0, (wanted or 0) - got)))
    return tuple(found)
