"""Compare two sweeps that were scored on the same questions: what changed for each configuration, and which differences are shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from opabinia.command_line import load_settings, plain_errors
from opabinia.config import Config


class CompareSettings(Config):
    """Two sweeps, by their folders below OUTPUT/sweeps."""

    first: Path
    """The sweep that is compared with, such as runs/quickstart/sweeps/20260101-120000."""

    second: Path
    """The sweep that is compared."""

    baseline: str | None = None
    """What all configurations of both are compared with, such as first/caption-vit.sva; null for the first's first that finished."""

    output: Path | None = None
    """A file for the comparison, in Markdown, beside what is printed."""


def main(argv: Sequence[str]) -> None:
    settings = load_settings(CompareSettings, argv, description=__doc__ or "")
    with plain_errors():
        _compare(settings)


def _compare(settings: CompareSettings) -> None:
    from opabinia.storage.atomic import whole_text
    from opabinia.sweeps.two_sweeps import answered_trials, compare_sweeps, two_sweeps_markdown

    first, second = (answered_trials(folder) for folder in (settings.first, settings.second))
    text = two_sweeps_markdown(compare_sweeps(first, second, settings.baseline), settings.first, settings.second)
    if settings.output is not None:
        with whole_text(settings.output) as file:
            file.write(text)
    print(text, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
