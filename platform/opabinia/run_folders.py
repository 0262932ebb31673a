"""Where a single run keeps what it writes, and how a run that was cut off is found again."""

from __future__ import annotations

import time
from pathlib import Path

from opabinia.command_line.yaml_text import settings_text, write_settings
from opabinia.experiment import Experiment
from opabinia.names import unknown

LATEST = "latest"
_SETTINGS, REPORT = "experiment.yaml", "report.json"


def new_run_folder(experiment: Experiment) -> Path:
    """A folder below OUTPUT/runs, named by the time, that holds the experiment."""
    folder = experiment.output / "runs" / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    write_settings(experiment, folder / _SETTINGS)
    return folder


def cut_off_run_folder(experiment: Experiment, name: str) -> Path:
    """The folder of the run to go on with: `name` below OUTPUT/runs, or the latest.

    Raises ValueError where there is none, where it has ended, and where it was begun with other settings.
    """
    runs = experiment.output / "runs"
    names = sorted(path.parent.name for path in runs.glob(f"*/{_SETTINGS}"))
    if not names:
        raise ValueError(f"resume: no run was begun below {runs}; leave it out to begin one")
    name = names[-1] if name == LATEST else name
    if name not in names:
        raise unknown("run", name, names, place="resume")
    folder = runs / name
    if (folder / REPORT).exists():
        raise ValueError(
            f"resume: run {name} has ended, its result is in {folder / REPORT}; leave it out to begin another"
        )
    if (folder / _SETTINGS).read_text() != settings_text(experiment):
        raise ValueError(f"resume: run {name} was begun with other settings; go on with --config {folder / _SETTINGS}")
    return folder
