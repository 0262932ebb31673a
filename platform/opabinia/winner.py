"""The champion of an experiment's sweeps, as a checkpoint folder."""

from __future__ import annotations

from pathlib import Path

from opabinia.experiment import Experiment


def fetch_winner(experiment: Experiment) -> Path:
    """Its folder below the experiment's output, fetched from MLflow unless it is there.

    Raises ValueError where there is no champion, and where what was fetched is not what was registered.
    """
    from opabinia.tracking.champion import fetch_champion

    tracking = experiment.tracking
    return fetch_champion(tracking.uri, tracking.model_name, experiment.output / "champions")
