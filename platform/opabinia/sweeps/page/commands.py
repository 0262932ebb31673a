"""The commands that go on from a sweep: the whole of it again, or one trial trained longer, exported, served."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from opabinia.command_line.yaml_text import parse_yaml
from opabinia.sweeps.page.shown import ShownTrial


def rerun_command(settings: Path) -> str:
    """The same sweep from its experiment file."""
    return _line("python", "jobs/sweep_encoders.py", "--config", str(settings))


def trial_commands(trial: ShownTrial, settings: Path) -> dict[str, str]:
    """What is done -> the command. settings: the sweep's experiment file."""
    alone = _of_trial(trial, settings)
    name = trial.report.trial_id
    return {
        "train": _line(*alone),
        "train longer": _line(*alone, *_twice_as_long(settings, trial.run.variant)),
        "evaluate": _line("python", "jobs/evaluate.py", "--config", str(settings), *_checkpoint(trial)),
        "export": _line(
            "python",
            "jobs/export_checkpoint.py",
            "--config",
            str(settings),
            *_checkpoint(trial),
            "--folder",
            f"export/{name}",
        ),
        "serve": _line("python", "jobs/serve_winners.py", "--config", str(settings), *_checkpoint(trial)),
    }


def _of_trial(trial: ShownTrial, settings: Path) -> list[str]:
    model = trial.run.model
    return [
        *("python", "jobs/train.py", "--config", str(settings), "--name", trial.report.trial_id),
        *("--seed", str(trial.run.seed), "--encoders", json.dumps(list(model.encoders))),
        *("--connector", model.connector.model_dump_json()),
        *(() if trial.run.variant is None else ("--variant", trial.run.variant)),
    ]


def _twice_as_long(settings: Path, variant: str | None) -> Sequence[str]:
    """The last stage, twice as long as the experiment has it."""
    experiment = cast("Mapping[str, Any]", parse_yaml(settings.read_text()))
    owner = experiment if variant is None else experiment["sweep"]["variants"][variant]
    prefix = "" if variant is None else f"sweep.variants.{variant}."
    stages: list[Mapping[str, Any]] = owner["stages"]
    field = "steps" if stages[-1].get("steps") else "epochs"
    return (f"--{prefix}stages.{len(stages) - 1}.{field}", str(2 * stages[-1][field]))


def _checkpoint(trial: ShownTrial) -> tuple[str, str]:
    return "--checkpoint", str(trial.checkpoint)


def _line(*words: str) -> str:
    return shlex.join(words)
