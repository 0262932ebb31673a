"""What preparation leaves for every run of an experiment: which records and pictures may be used, and how they are read."""

from __future__ import annotations

from pathlib import Path

from opabinia.config import Config


class TrainingInputs(Config):
    """The tokenizer, where the audits of the data are, and pictures by the sha256 of their bytes."""

    tokenizer: Path
    """Folder of the tokenizer, whose chat template writes the experiment's conversations."""

    audits: dict[str, Path]
    """Per data source: the folder that says which of its records can be trained on (see `opabinia.data.audited`)."""

    rejected: dict[str, int]
    """Per data source: how many lines no run trains on."""

    benchmark_keys: dict[str, str]
    """The benchmark's pictures: path relative to its images folder -> key."""

    features: Path | None
    """The table of the features of encoders that stay frozen, or None when every run encodes pictures itself."""


def save_inputs(inputs: TrainingInputs, path: Path) -> None:
    from opabinia.storage.atomic import whole_text

    with whole_text(path) as handle:
        handle.write(inputs.model_dump_json())


def load_inputs(path: Path) -> TrainingInputs:
    return TrainingInputs.model_validate_json(path.read_text())
