"""The assembled multimodal language model: encoders, connector, language model; generation; checkpoints in and out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opabinia.models.multimodal import MultimodalModel


def load_cambrian(folder: Path | str, language_model: str | None = None) -> MultimodalModel:
    """Load a checkpoint in the layout of the released Cambrian-1 models, in eval mode.

    language_model: a name, folder or hub id, where the folder holds `mm_projector.bin` alone, as the first training stage leaves it.
    Raises ValueError when a file is missing, its fields contradict its weights, or a key is missing, unexpected or of another shape.
    """
    from opabinia.models.cambrian.load import read_cambrian

    return read_cambrian(Path(folder), language_model)


def load_projector(model: MultimodalModel, file: Path | str) -> None:
    """Fill the connector of a model from an `mm_projector.bin` of LLaVA-1.5 or Cambrian-1; the language model stays as it is.

    Raises ValueError when the file is no file of weights, or a key is missing, unexpected or of another shape; the model is then
    unchanged.
    """
    from opabinia.models.cambrian.weights import fill_projector

    fill_projector(model, Path(file))
