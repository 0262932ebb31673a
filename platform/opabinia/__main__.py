"""List what an experiment file can name, and describe this environment: python -m opabinia VERB."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from opabinia.command_line import plain_errors
from opabinia.names import unknown

_PAGE = """Usage: python -m opabinia VERB

  encoders    the vision encoders an experiment file can name
  connectors  the connectors that can join them to a language model
  benchmarks  the families of questions that trials are scored on
  doctor      this environment, for a bug report
"""


@plain_errors()
def main(argv: Sequence[str]) -> int:
    """Run one verb; returns the exit status."""
    if not argv or not {"--help", "-h"}.isdisjoint(argv):
        print(_PAGE, end="")
        return 0
    verb, *rest = argv
    if verb not in _VERBS:
        raise unknown("verb", verb, _VERBS)
    if rest:
        raise ValueError(f"{rest[0]!r}: unexpected; {verb} takes no arguments")
    print("\n".join(_VERBS[verb]()))
    return 0


def _encoders() -> list[str]:
    from opabinia.encoders.catalogue import CATALOGUE

    rows = [("id", "supervision", "architecture", "pixels", "grid", "width", "parameters", "licence")]
    rows += [
        (
            entry.id,
            entry.family,
            entry.architecture,
            f"{entry.input_size}",
            f"{entry.grid} x {entry.grid}",
            f"{entry.width}",
            f"{entry.parameters:,}",
            entry.licence,
        )
        for entry in CATALOGUE.values()
    ]
    return _aligned(rows)


def _connectors() -> list[str]:
    from connectors.registry import CONNECTORS

    return list(CONNECTORS)


def _benchmarks() -> list[str]:
    from opabinia.evaluation.questions import FAMILIES

    return list(FAMILIES)


def _doctor() -> list[str]:
    from opabinia.cluster.doctor import report

    return report()


_VERBS = {"encoders": _encoders, "connectors": _connectors, "benchmarks": _benchmarks, "doctor": _doctor}


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
