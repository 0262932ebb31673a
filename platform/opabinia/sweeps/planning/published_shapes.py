"""The sizes of the language models that the published studies train, from their `config.json`; all are of the Llama family."""

from __future__ import annotations

from collections.abc import Mapping

_VICUNA_7B = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 32000,
}
_VICUNA_13B = {
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 40,
    "num_attention_heads": 40,
    "vocab_size": 32000,
}
_LLAMA_3_8B = {
    "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "vocab_size": 128256,
}  # fmt: skip
_YI_34B = {
    "hidden_size": 7168, "intermediate_size": 20480, "num_hidden_layers": 60, "num_attention_heads": 56, "num_key_value_heads": 8,
    "vocab_size": 64000,
}  # fmt: skip

PUBLISHED_SHAPES: Mapping[str, Mapping[str, int]] = {
    "lmsys/vicuna-7b-v1.5": _VICUNA_7B,
    "lmsys/vicuna-13b-v1.5": _VICUNA_13B,
    "meta-llama/Meta-Llama-3-8B-Instruct": _LLAMA_3_8B,
    "NousResearch/Nous-Hermes-2-Yi-34B": _YI_34B,
}
"""Hub id -> what a LlamaConfig is made of."""
