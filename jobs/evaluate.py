"""Score a checkpoint on the held-out benchmark, with the image and without; without --checkpoint, the champion."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from opabinia.command_line import load_settings, plain_errors
from opabinia.experiment import Experiment

_DEFAULT = Path(__file__).parent / "experiments" / "quickstart.yaml"


class EvaluateSettings(Experiment):
    """An experiment whose benchmark scores a checkpoint."""

    checkpoint: Path | None = None
    """Checkpoint folder, as training writes it; null fetches the champion from MLflow."""


def main(argv: Sequence[str]) -> None:
    settings = load_settings(EvaluateSettings, argv, description=__doc__ or "", default_file=_DEFAULT)
    with plain_errors():
        _evaluate(settings)


def _evaluate(settings: EvaluateSettings) -> None:
    from opabinia.evaluation.table import render_table
    from opabinia.models.answering import load_answerer
    from opabinia.training.reports.scorer import open_scorer
    from opabinia.winner import fetch_winner

    scorer = open_scorer(settings.benchmark)
    folder = settings.checkpoint or fetch_winner(settings)
    answerer = load_answerer(folder)
    model = answerer.model.config
    scored = scorer.score(answerer, folder.name, model.encoders, model.connector.type, seed=settings.seed)
    print(f"{folder}\n\n{render_table([scored.report])}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
