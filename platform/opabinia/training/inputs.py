"""What preparation leaves for every run of an experiment: which records and pictures may be used, and how they are read."""

from __future__ import annotations

from pathlib import Path

from opabinia.config import Config


class TrainingInputs(Config):
    """The tokenizer, and what passed the audit: pictures by the sha256 of their bytes, and all lines but the rejected ones."""

    tokenizer: Path
    """Folder of the tokenizer, whose chat template writes the experiment's conversations."""

    rejected: dict[str, dict[str, tuple[int, ...]]]
    """Per data source: file -> numbers from 1 of the lines that no run may train on."""

    image_keys: dict[str, dict[str, str]]
    """Per data source: image path relative to its images folder -> key."""

    benchmark_keys: dict[str, str]
    """The benchmark's pictures: path relative to its images folder -> key."""

    features: Path | None
    """The feature table, or None when every run encodes pictures itself."""

    @property
    def rejected_counts(self) -> dict[str, int]:
        """How many lines of each data source no run trains on."""
        return {source: sum(map(len, files.values())) for source, files in self.rejected.items()}


def save_inputs(inputs: TrainingInputs, path: Path) -> None:
    from opabinia.storage.atomic import whole_text

    with whole_text(path) as handle:
        handle.write(inputs.model_dump_json())


def load_inputs(path: Path) -> TrainingInputs:
    return TrainingInputs.model_validate_json(path.read_text())
