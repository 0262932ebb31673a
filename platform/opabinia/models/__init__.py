"""The assembled multimodal language model: encoders, connector, language model; generation; checkpoints in and out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opabinia.encoders.loading import VisionEncoder
    from opabinia.models.eagle.towers import Profile
    from opabinia.models.multimodal import MultimodalModel


def load_cambrian(folder: Path | str, language_model: str | None = None) -> MultimodalModel:
    """Load a checkpoint in the layout of the released Cambrian-1 models, in eval mode.

    language_model: a name, folder or hub id, where the folder holds `mm_projector.bin` alone, as the first training stage leaves it.
    Raises ValueError when a file is missing, its fields contradict its weights, or a key is missing, unexpected or of another shape.
    """
    from opabinia.models.cambrian.load import read_cambrian

    return read_cambrian(Path(folder), language_model)


def load_eagle(
    folder: Path | str, profile: Profile = "eagle_release"
) -> tuple[MultimodalModel, tuple[VisionEncoder, ...]]:
    """Load a checkpoint in the layout of the released Eagle models: the model, and its encoders with the folder's weights.

    profile: at which size CLIP reads pictures, as the released code runs it or as the paper says. Raises ValueError as `load_cambrian`.
    """
    from opabinia.models.eagle.load import read_eagle

    return read_eagle(Path(folder), profile)


def load_projector(model: MultimodalModel, file: Path | str) -> None:
    """Fill the connector of a model from an `mm_projector.bin` of LLaVA-1.5 or Cambrian-1; the language model stays as it is.

    Raises ValueError when the file is no file of weights, or a key is missing, unexpected or of another shape; the model is then
    unchanged.
    """
    from opabinia.models.cambrian.weights import fill_projector

    fill_projector(model, Path(file))
