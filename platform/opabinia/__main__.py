"""List what an experiment file can name, and describe this environment: python -m opabinia VERB."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from opabinia.command_line import plain_errors
from opabinia.names import unknown

_PAGE = """Usage: python -m opabinia VERB

  encoders    the vision encoders an experiment file can name; --family NAME lists one kind of supervision
  connectors  the connectors that can join them to a language model
  benchmarks  the published benchmarks that models can be scored on, by category
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
    if rest and verb != "encoders":
        raise ValueError(f"{rest[0]!r}: unexpected; {verb} takes no arguments")
    print("\n".join(_VERBS[verb](*rest)))
    return 0


def _encoders(*options: str) -> list[str]:
    from opabinia.encoders.listing import encoder_rows

    if options and (options[0] != "--family" or len(options) != 2):
        raise ValueError(f"{' '.join(options)!r}: unexpected; encoders takes --family NAME or nothing")
    return _aligned(encoder_rows(*options[1:]))


def _connectors() -> list[str]:
    from connectors.registry import CONNECTORS

    return list(CONNECTORS)


def _benchmarks() -> list[str]:
    from opabinia.evaluation.benchmarks.catalogue import BENCHMARKS

    rows = [(one.category, name, one.file, one.prompt, one.scorer, one.title) for name, one in BENCHMARKS.items()]
    return _aligned([("category", "benchmark", "file", "prompt", "scorer", "title"), *rows])


def _doctor() -> list[str]:
    from opabinia.cluster.doctor import report

    return report()


_VERBS: dict[str, Callable[..., list[str]]] = {
    "encoders": _encoders,
    "connectors": _connectors,
    "benchmarks": _benchmarks,
    "doctor": _doctor,
}


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
