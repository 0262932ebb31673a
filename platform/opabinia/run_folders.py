"""Where a single run, or a sweep, keeps what it writes, and how one that was cut off is found again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple, cast

from opabinia.command_line.yaml_text import parse_yaml, settings_text, write_settings
from opabinia.experiment import Experiment
from opabinia.names import unknown

LATEST = "latest"
_SETTINGS = "experiment.yaml"
_NOT_TRAINED = {"sweep", "study"}
"""Parts of an experiment on which no trial depends."""


class Kind(NamedTuple):
    """Of folders below OUTPUT/`place`, each of one `what`; `result` is a file that is there once it has ended."""

    what: str
    place: str
    result: str


RUN = Kind("run", "runs", "report.json")
SWEEP = Kind("sweep", "sweeps", "champion.json")


def new_folder(kind: Kind, experiment: Experiment) -> Path:
    """Named by the time; holds the experiment."""
    folder = experiment.output / kind.place / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    write_settings(experiment, folder / _SETTINGS)
    return folder


def cut_off_folder(kind: Kind, experiment: Experiment, name: str) -> Path:
    """The folder of the one to go on with: `name` below OUTPUT, or the latest.

    Raises ValueError where there is none, where it has ended, and where it was begun with other settings.
    """
    folder = begun_folder(kind, experiment, name, "resume")
    result = folder / kind.result
    if result.exists():
        raise ValueError(
            f"resume: {kind.what} {folder.name} has ended, its result is in {result}; leave it out to begin another"
        )
    if (folder / _SETTINGS).read_text() != settings_text(experiment):
        raise ValueError(
            f"resume: {kind.what} {folder.name} was begun with other settings; go on with --config {folder / _SETTINGS}"
        )
    return folder


def extended_folder(experiment: Experiment, name: str) -> Path:
    """The folder of the sweep, ended or not, that the experiment adds trials to; it holds the new experiment from now on.

    Raises ValueError where there is none, and where anything but the sweep itself and its study has other settings.
    """
    folder = begun_folder(SWEEP, experiment, name, "extend")
    begun, now = (_document(text) for text in ((folder / _SETTINGS).read_text(), settings_text(experiment)))
    differing = sorted(key for key in (begun.keys() | now.keys()) - _NOT_TRAINED if begun.get(key) != now.get(key))
    if differing:
        raise ValueError(
            f"extend: {differing[0]} is not what it was in sweep {folder.name}, whose trials would not compare; take it from "
            f"{folder / _SETTINGS}, or begin another sweep"
        )
    write_settings(experiment, folder / _SETTINGS)
    return folder


def begun_folder(
    kind: Kind, experiment: Experiment, name: str, field: str, fix: str = "leave it out to begin one"
) -> Path:
    """One that was begun, ended or not: `name` below OUTPUT, or the latest.

    Raises ValueError, naming `field` and saying `fix`, where there is none.
    """
    folders = experiment.output / kind.place
    names = sorted(path.parent.name for path in folders.glob(f"*/{_SETTINGS}"))
    if not names:
        raise ValueError(f"{field}: no {kind.what} was begun below {folders}; {fix}")
    name = names[-1] if name == LATEST else name
    if name not in names:
        raise unknown(kind.what, name, names, place=field)
    return folders / name


def _document(text: str) -> dict[str, Any]:
    return cast("dict[str, Any]", parse_yaml(text))
