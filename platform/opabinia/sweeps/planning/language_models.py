"""Language models without their weights: what a plan asks of one is known from its configuration.

Those of the published studies are known here, so that a study can be planned where nothing of it has been fetched.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opabinia.models.language_models import is_gguf, language_model_location
from opabinia.sweeps.planning.published_shapes import PUBLISHED_SHAPES

if TYPE_CHECKING:
    from torch import nn

# Wide enough for every part to be there, and small enough to run in a moment.
_NARROW = {"hidden_size": 64, "intermediate_size": 64, "vocab_size": 64, "head_dim": 16, "num_attention_heads": 4}


def bare_language_model(name: str) -> nn.Module:
    """On the meta device, as large as it is. Raises ValueError naming the field where there is no configuration under that name."""
    import torch
    from transformers import AutoModelForCausalLM

    library: Any = AutoModelForCausalLM
    with torch.device("meta"):
        return library.from_config(_configuration(name))


@lru_cache(maxsize=8)
def narrow_language_model(name: str) -> nn.Module | None:
    """The same layers, but narrow and with random weights, for checks that look at what is computed.

    None where the family cannot be made narrow. Raises ValueError like `bare_language_model`.
    """
    import torch
    from transformers import AutoModelForCausalLM

    library: Any = AutoModelForCausalLM
    config = _configuration(name)
    settings: dict[str, Any] = config.to_dict()
    heads = max(1, 4 * settings.get("num_key_value_heads", 1) // settings.get("num_attention_heads", 1))
    narrow = {**_NARROW, "num_key_value_heads": heads, "pad_token_id": None, "bos_token_id": None, "eos_token_id": None}
    try:
        with torch.random.fork_rng(devices=[]):
            return library.from_config(type(config)(**{**settings, **{k: narrow[k] for k in narrow if k in settings}}))
    # Families differ in which widths must fit each other, and fail in as many ways.
    except Exception:
        return None


@lru_cache(maxsize=8)
def _configuration(name: str) -> Any:
    from transformers import AutoConfig, LlamaConfig

    library: Any = AutoConfig
    llama: Any = LlamaConfig
    if name in PUBLISHED_SHAPES and not Path(name).exists():
        return llama(**PUBLISHED_SHAPES[name])
    place, options = language_model_location(name), dict[str, Any]()
    if is_gguf(name):
        place, options = str(Path(place).parent), {"gguf_file": Path(place).name}
    try:
        return library.from_pretrained(place, **options)
    except (ImportError, OSError, ValueError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ValueError(
            f"language_model: {name!r} has no configuration that can be read ({reason}); correct the name"
        ) from error
