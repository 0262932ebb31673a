"""What a number of a study is of: all families, one family, or one published benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opabinia.evaluation.benchmarks.catalogue import BENCHMARKS
from opabinia.evaluation.questions import FAMILIES

if TYPE_CHECKING:
    from opabinia.evaluation.statistics.credits import Credits

AVERAGE = "average"
"""The mean of the families."""

TITLES = {
    AVERAGE: "average", "general": "general", "knowledge": "knowledge", "ocr_chart": "OCR & chart", "vision_centric": "vision-centric",
    **{name: benchmark.label for name, benchmark in BENCHMARKS.items()},
}  # fmt: skip
"""Column -> what it is called in tables."""


def on_column(credits: Credits, column: str) -> Credits:
    """The answers that a column is made of; none where nothing of it was asked."""
    if column == AVERAGE:
        return credits
    return credits.of_family(column) if column in FAMILIES else credits.of_benchmark(column)
