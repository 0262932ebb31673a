"""The assembled multimodal language model: encoders, connector, language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from connectors.contract import Connector, GridShape, VisualContext
from connectors.registry import build_connector
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.encoders.catalogue import find_encoder
from opabinia.models.multimodal_config import ModelConfig
from opabinia.models.splice import Spliced, splice


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """`logits: [batch, length, vocabulary]` over the spliced sequence; `loss` is the mean over supervised tokens, if labels came."""

    logits: Tensor
    loss: Tensor | None


@dataclass(frozen=True, slots=True)
class InnerVisual:
    """What the layers inside the language model need: the connector's context and where the visual tokens stand."""

    context: VisualContext
    positions: Tensor


class MultimodalModel(nn.Module):
    """A connector and a language model. Encoders stay outside: the model takes the feature grids they give."""

    def __init__(self, config: ModelConfig, language_model: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.language_model = language_model
        width = int(_llm_config(language_model).hidden_size)
        entries = [find_encoder(name, f"encoders.{index}") for index, name in enumerate(config.encoders)]
        grids = [GridShape(entry.grid, entry.width) for entry in entries]
        self.connector: Connector = build_connector(config.connector, grids, width)
        self._attach_inner_layers()

    def forward(
        self,
        input_ids: Tensor,
        features: Sequence[Tensor],
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> ModelOutput:
        """Train or score.

        input_ids: [batch, text], IMAGE_TOKEN where an image goes, padded on the right. labels: [batch, text].
        features: per encoder [images, tokens, width], images in the order of their placeholders; empty for text alone.
        """
        mask = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        spliced, inner = self.assemble(input_ids, mask, features, labels)
        # Padding stands on the right, so causality alone keeps it unseen and no mask is needed.
        logits = self.language_model(inputs_embeds=spliced.embeddings, use_cache=False, inner_visual=inner).logits
        return ModelOutput(logits, None if spliced.labels is None else next_token_loss(logits, spliced.labels))

    def assemble(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        features: Sequence[Tensor],
        labels: Tensor | None = None,
        *,
        pad_left: bool = False,
    ) -> tuple[Spliced, InnerVisual | None]:
        """The language model's input, and what its inner layers read again (None without images)."""
        llm: Any = self.language_model
        text: Tensor = llm.get_input_embeddings()(input_ids.masked_fill(input_ids == IMAGE_TOKEN, 0))
        if not features or not len(features[0]):
            nothing = text.new_zeros(0, self.connector.queries, text.shape[-1])
            return splice(input_ids, attention_mask, text, nothing, labels, pad_left=pad_left), None
        visual = self.connector(features)
        spliced = splice(input_ids, attention_mask, text, visual.tokens, labels, pad_left=pad_left)
        inner = None if visual.context is None else InnerVisual(visual.context, spliced.visual_positions)
        return spliced, inner

    def _attach_inner_layers(self) -> None:
        llm: Any = self.language_model
        layers: list[nn.Module] = list(llm.get_decoder().layers)
        for index in self.connector.inner_layers:
            if index >= len(layers):
                raise ValueError(
                    f"connector.in_llm_count: layer {index} is asked for, but the language model has {len(layers)}; "
                    "lower in_llm_start, in_llm_stride or in_llm_count"
                )
            layers[index].register_forward_hook(partial(_reread, self.connector, index), with_kwargs=True)


def next_token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of predicting each supervised token from the position before it."""
    supervised = labels[:, 1:] != IGNORE
    return functional.cross_entropy(logits[:, :-1][supervised].float(), labels[:, 1:][supervised])


def _reread(
    connector: Connector, index: int, _layer: nn.Module, _args: Any, kwargs: dict[str, Any], output: Any
) -> Any:
    """After a decoder layer, let the visual tokens read the feature grids again; decoding steps carry no visual context."""
    inner: InnerVisual | None = kwargs.get("inner_visual")
    if inner is None:
        return output
    flat = output.flatten(0, 1)
    updated = connector.reread(index, flat[inner.positions], inner.context).to(flat.dtype)
    return flat.index_copy(0, inner.positions.flatten(), updated.flatten(0, 1)).view_as(output)


def _llm_config(language_model: nn.Module) -> Any:
    return language_model.config
