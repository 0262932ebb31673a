"""Open a checkpoint folder of any layout that this library writes or reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opabinia.models.checkpoint import (
    is_checkpoint,
    load_checkpoint,
    load_checkpoint_encoders,
    load_checkpoint_tokenizer,
)
from opabinia.models.language_models import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from opabinia.encoders.loading import VisionEncoder
    from opabinia.models.multimodal import MultimodalModel


@dataclass(frozen=True, slots=True)
class Opened:
    """A model in eval mode and its tokenizer; `encoders` where the folder holds weights of any, else they are loaded by name."""

    model: MultimodalModel
    tokenizer: PreTrainedTokenizerFast
    encoders: tuple[VisionEncoder, ...] | None = None

    def load_encoders(self) -> tuple[VisionEncoder, ...]:
        """Raises ValueError for an encoder that the catalogue does not know."""
        from opabinia.encoders.loading import load_encoder

        if self.encoders is not None:
            return self.encoders
        return tuple(load_encoder(name) for name in self.model.config.encoders)


def open_checkpoint(folder: Path) -> Opened:
    """A folder that training wrote, an exported one, or one in the layout of the released Cambrian-1 or Eagle models.

    Raises ValueError when it is none of these, or not whole.
    """
    if is_checkpoint(folder):
        return Opened(load_checkpoint(folder), load_checkpoint_tokenizer(folder), load_checkpoint_encoders(folder))
    kind = _model_type(folder)
    if kind == "opabinia":
        return Opened(_exported(folder), load_tokenizer(str(folder)))
    if kind.startswith("cambrian_"):
        from opabinia.models.cambrian.load import read_cambrian

        return Opened(read_cambrian(folder), load_tokenizer(str(folder)))
    if kind.startswith("eagle_"):
        from opabinia.models.eagle.load import read_eagle

        model, encoders = read_eagle(folder)
        return Opened(model, load_tokenizer(str(folder)), encoders)
    raise ValueError(
        f"checkpoint {folder}: neither opabinia.json nor a config.json of a known model_type is there; give a folder that "
        "training or export wrote"
    )


def _model_type(folder: Path) -> str:
    path = folder / "config.json"
    return str(json.loads(path.read_text()).get("model_type")) if path.is_file() else ""


def _exported(folder: Path) -> MultimodalModel:
    from transformers import AutoModelForCausalLM

    library: Any = AutoModelForCausalLM
    return library.from_pretrained(folder).multimodal.eval()
