"""Write a model as a folder that transformers opens."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opabinia.data.records import PLACEHOLDER
from opabinia.encoders.catalogue import CATALOGUE
from opabinia.models.encoder_weights import encoder_digests
from opabinia.storage.atomic import whole_folder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from connectors.contract import GridShape
    from opabinia.models.multimodal import MultimodalModel


def write_huggingface(
    model: MultimodalModel, tokenizer: PreTrainedTokenizerFast, folder: Path, card: str, *, shard_size: str = "5GB"
) -> None:
    """safetensors, config, processor and model card. Encoders are named, not copied: their licences are their own.

    Raises ValueError when the folder exists already.
    """
    from transformers.utils import logging

    from opabinia.models.huggingface.processor import OpabiniaProcessor, chat_template_with_parts

    logging.disable_progress_bar()
    extended: Any = _with_image_token(tokenizer)
    wrapped = _wrapped(model, int(extended.convert_tokens_to_ids(PLACEHOLDER)))
    template: str | None = extended.chat_template
    processor = OpabiniaProcessor(
        extended, model.config.encoders, model.connector.queries, model.config.row_separator,
        chat_template=chat_template_with_parts(template) if template else None,
    )  # fmt: skip
    with whole_folder(folder) as draft:
        wrapped.save_pretrained(draft, max_shard_size=shard_size)
        processor.save_pretrained(draft)
        (draft / "README.md").write_text(card)


def _with_image_token(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    extended: Any = deepcopy(tokenizer)
    extended.add_tokens([PLACEHOLDER], special_tokens=True)
    return extended


def _wrapped(model: MultimodalModel, image_token: int) -> Any:
    import torch

    from opabinia.models.huggingface.config import OpabiniaConfig
    from opabinia.models.huggingface.model import OpabiniaForCausalLM

    llm: Any = model.language_model
    known = [name for name in model.config.encoders if name in CATALOGUE]
    config = OpabiniaConfig(
        text_config=llm.config.to_dict(), encoders=list(model.config.encoders), encoder_weights=encoder_digests(known),
        grids=_grids(model.grids), connector=model.config.connector.model_dump(mode="json"),
        row_separator=model.config.row_separator, image_token_id=image_token, dtype=llm.dtype,
    )  # fmt: skip
    with torch.device("meta"):
        wrapped = OpabiniaForCausalLM(config)
    wrapped.multimodal = model
    wrapped.generation_config = llm.generation_config
    return wrapped


def _grids(grids: Sequence[GridShape]) -> list[list[int]]:
    return [[grid.side, grid.width] for grid in grids]
