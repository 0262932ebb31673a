"""What the weights of a model are called here, and what in a Cambrian-1 checkpoint."""

from __future__ import annotations

import re
from collections.abc import Iterator

_BLOCK = (
    ("context.", "proj_context."),
    ("input.", "proj_in."),
    ("output.0.", "proj_out.linear_1."),
    ("output.2.", "proj_out.linear_2."),
    ("to_query.", "cross_attn.q_proj."),
    ("to_key.#.", "cross_attn.k_proj_#."),
    ("to_value.#.", "cross_attn.v_proj_#."),
    ("attended.", "cross_attn.o_proj."),
    ("positions.#", "pos_embed_#"),
    ("norm.", "norm."),
)
"""Inside one aggregator: (here, in a checkpoint); # stands for a number."""

_JOINT = (
    ("row_separator", "model.image_newline"),
    ("connector.query", "model.vision_query"),
    ("connector.projections.#.", "model.mm_projector_aux_#."),
)


_PROJECTOR = {"sva": "connector.output.", "mlpNx_gelu": "connector.layers.", "linear": "connector.layer."}
"""Family of connector -> where its last layers, all that the simple ones have, are here."""

PUBLISHED_CONNECTORS = tuple(_PROJECTOR)


def published_name(name: str, connector: str, inner_layers: tuple[int, ...]) -> str:
    """What the weight `name` is called in a checkpoint.

    connector: family of the model's connector, one of PUBLISHED_CONNECTORS. inner_layers: of the language model, those after which
    an aggregator stands, in order.
    """
    for own, theirs in _beginnings(connector, inner_layers):
        if match := re.match(re.escape(own).replace(r"\#", r"(\d+)"), name):
            return theirs.replace("#", "{}").format(*match.groups()) + name[match.end() :]
    return name.removeprefix("language_model.")


def _beginnings(connector: str, inner_layers: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """(here, in a checkpoint) of every weight that is not the language model's."""
    yield from _JOINT
    for own, theirs in _BLOCK:
        yield f"connector.groups.#.#.{own}", f"model.vision_sampler_#.layers.#.{theirs}"
        for place, layer in enumerate(inner_layers):
            yield f"connector.inner.{layer}.{own}", f"model.vision_sampler_layers.{place}.layers.0.{theirs}"
    yield _PROJECTOR[connector], "model.mm_projector."
