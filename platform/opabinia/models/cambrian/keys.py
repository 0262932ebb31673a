"""From the names of weights in a Cambrian-1 checkpoint to the names they have here."""

from __future__ import annotations

import re

_BLOCK = (
    (r"proj_context\.", "context."),
    (r"proj_in\.", "input."),
    (r"proj_out\.linear_1\.", "output.0."),
    (r"proj_out\.linear_2\.", "output.2."),
    (r"cross_attn\.q_proj\.", "to_query."),
    (r"cross_attn\.k_proj_(\d+)\.", r"to_key.\1."),
    (r"cross_attn\.v_proj_(\d+)\.", r"to_value.\1."),
    (r"cross_attn\.o_proj\.", "attended."),
    (r"pos_embed_(\d+)$", r"positions.\1"),
)
_JOINT = (
    (r"^image_newline$", "row_separator"),
    (r"^vision_query$", "connector.query"),
    (r"^mm_projector_aux_(\d+)\.", r"connector.projections.\1."),
)
_BEFORE = re.compile(r"^vision_sampler_(\d+)\.layers\.(\d+)\.(.*)$")
_INSIDE = re.compile(r"^vision_sampler_layers\.(\d+)\.layers\.0\.(.*)$")
_PREFIX = "model."


def own_name(key: str, *, is_sva: bool, inner_layers: tuple[int, ...]) -> str:
    """The name here of the weight `key`; a key that is no part of a connector belongs to the language model."""
    inner = key.removeprefix(_PREFIX)
    if match := _BEFORE.match(inner):
        return f"connector.groups.{match[1]}.{match[2]}.{_block_name(match[3])}"
    if match := _INSIDE.match(inner):
        place = int(match[1])
        layer = inner_layers[place] if place < len(inner_layers) else f"unexpected-{place}"
        return f"connector.inner.{layer}.{_block_name(match[2])}"
    for pattern, replacement in _JOINT:
        if re.search(pattern, inner):
            return re.sub(pattern, replacement, inner)
    if inner.startswith("mm_projector."):
        # A single linear layer has no number of its own.
        rest = inner.removeprefix("mm_projector.")
        return f"connector.{'output' if is_sva else 'layers'}.{rest if rest[0].isdigit() else f'0.{rest}'}"
    return f"language_model.{key}"


def _block_name(name: str) -> str:
    for pattern, replacement in _BLOCK:
        if re.match(pattern, name):
            return re.sub(pattern, replacement, name)
    return name
