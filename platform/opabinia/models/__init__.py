"""The assembled multimodal language model: encoders, connector, language model; generation; checkpoints in and out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opabinia.models.multimodal import MultimodalModel


def load_cambrian(folder: Path | str) -> MultimodalModel:
    """Load a checkpoint in the layout of the released Cambrian-1 models, in eval mode.

    Raises ValueError when a file is missing, its fields contradict its weights, or a key is missing, unexpected or of another shape.
    """
    from opabinia.models.cambrian.load import read_cambrian

    return read_cambrian(Path(folder))
