"""What validating a data set found, and its report as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opabinia.data.preparation.settings import LimitsConfig
from opabinia.data.preparation.tally import Tally, first_pixel, octave_bins
from opabinia.storage.atomic import whole_text

QUARANTINE_NAME = "quarantine.jsonl"
REPORT_NAME = "report.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a data set holds.

    data, images: their addresses; images is None where pictures were not looked at. records: all, those that were unreadable too.
    accepted: those that can be used. The rejected ones, which may be many, are in the quarantine file alone.
    """

    data: str
    images: str | None
    limits: LimitsConfig
    records: int
    accepted: int
    tally: Tally

    @property
    def rejected(self) -> int:
        """Records that cannot be used."""
        return self.records - self.accepted

    @property
    def sources(self) -> list[str]:
        """The names of the sources, the one with most records first."""
        return [name for name, _ in sorted(self.tally.records.items(), key=lambda entry: (-entry[1], entry[0]))]


def read_quarantine(folder: Path) -> Iterator[dict[str, Any]]:
    """Every rejected line: file, line, kind, reason, row (of the index, from 0, or null) and id."""
    with (folder / QUARANTINE_NAME).open("rb") as lines:
        for line in lines:
            yield json.loads(line)


def write_report(report: Report, folder: Path) -> None:
    """Write report.json into a folder that holds the quarantine: a summary, and every rejected line under "rejected_lines"."""
    with whole_text(folder / REPORT_NAME) as handle:
        # By hand where the list begins, because it may be longer than memory.
        handle.write(json.dumps(_summary(report), ensure_ascii=False, indent=1).removesuffix("\n}"))
        handle.write(',\n "rejected_lines": [')
        for number, line in enumerate(read_quarantine(folder)):
            handle.write((",\n  " if number else "\n  ") + json.dumps(line, ensure_ascii=False))
        handle.write("\n ]\n}\n")


def _summary(report: Report) -> dict[str, Any]:
    counts = report.tally.as_counts()
    return {
        "data": report.data,
        "images": report.images,
        "limits": report.limits.model_dump(),
        "records": report.records,
        "accepted": report.accepted,
        "rejected": report.rejected,
        "rejected_by_check": counts["kinds"],
        "sources": {name: _source(report.tally, name) for name in report.sources},
        "histograms": {
            "words_per_record": _bins(counts["word_octaves"]),
            "turns_per_record": _bins(counts["turn_octaves"]),
            "pictures_per_record": _bins(counts["image_octaves"]),
        },
        "picture_formats": counts["formats"],
        "picture_sizes": [
            {"min_width": first_pixel(width), "min_height": first_pixel(height), "pictures": count}
            for (width, height), count in report.tally.shape_bins()
        ],
    }


def _source(tally: Tally, name: str) -> dict[str, int]:
    return {
        "records": tally.records[name],
        "rejected": tally.rejected[name],
        "pictures": tally.images[name],
        "turns": tally.turns[name],
        "words": tally.words[name],
    }


def _bins(octaves: Mapping[str, int]) -> list[dict[str, int]]:
    return [{"from": first, "to": last, "records": count} for first, last, count in octave_bins(octaves)]
