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
from connectors.padding import ImageSize
from connectors.registry import build_connector
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.encoders.catalogue import find_encoder
from opabinia.models.layout import Layout, separated_rows, visual_length, whole_grids
from opabinia.models.multimodal_config import ModelConfig
from opabinia.models.splice import Spliced, splice

_SQUARE: ImageSize = (1, 1)


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """`logits: [batch, length, vocabulary]` over the spliced sequence; `loss` is the mean over supervised tokens, if labels came."""

    logits: Tensor
    loss: Tensor | None


@dataclass(frozen=True, slots=True)
class InnerVisual:
    """What the layers inside the language model need: the connector's context and where its cells stand in [batch * length]."""

    context: VisualContext
    positions: Tensor


@dataclass(frozen=True, slots=True)
class Seen:
    """The visual tokens of several pictures in the order in which the text takes them, and the connector's context."""

    layout: Layout
    context: VisualContext | None

    def inside(self, positions: Tensor) -> InnerVisual | None:
        """For visual tokens at `positions: [visual tokens]` of the flattened sequences; None where nothing is read again."""
        if self.context is None:
            return None
        return InnerVisual(self.context.at(self.layout.cells), positions[self.layout.at])


class MultimodalModel(nn.Module):
    """A connector and a language model. Encoders stay outside: the model takes the feature grids they give."""

    def __init__(
        self, config: ModelConfig, language_model: nn.Module, grids: Sequence[GridShape] | None = None
    ) -> None:
        """`grids` where the encoders are not in the catalogue. Raises ValueError where the parts do not fit."""
        super().__init__()
        self.config = config
        self.language_model = language_model
        width = int(_llm_config(language_model).hidden_size)
        if grids is None:
            entries = [find_encoder(name, f"encoders.{index}") for index, name in enumerate(config.encoders)]
            grids = [GridShape(entry.grid, entry.width) for entry in entries]
        self.grids = tuple(grids)
        self.connector: Connector = build_connector(config.connector, grids, width)
        if config.row_separator and self.connector.queries != config.connector.queries:
            raise ValueError(
                f"row_separator: {config.connector.type} gives no single grid of tokens; use another connector"
            )
        self.row_separator = nn.Parameter(torch.randn(width) / width**0.5) if config.row_separator else None
        self._attach_inner_layers()

    def forward(
        self,
        input_ids: Tensor,
        features: Sequence[Tensor],
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        image_sizes: Sequence[ImageSize] | None = None,
    ) -> ModelOutput:
        """Train or score.

        input_ids: [batch, text], IMAGE_TOKEN where an image goes, padded on the right. labels: [batch, text].
        features: per encoder [images, tokens, width], images in the order of their placeholders; empty for text alone.
        image_sizes: width and height of pictures that were padded to squares; their padding is left out.
        Raises ValueError where placeholders, images and sizes differ in number.
        """
        mask = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        spliced, inner = self.assemble(input_ids, mask, features, labels, image_sizes=image_sizes)
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
        image_sizes: Sequence[ImageSize] | None = None,
        pad_left: bool = False,
    ) -> tuple[Spliced, InnerVisual | None]:
        """The language model's input, and what its inner layers read again (None without images)."""
        text = self.embed_text(input_ids, IMAGE_TOKEN)
        if not features or not len(features[0]):
            nothing, none = text.new_zeros(0, text.shape[-1]), input_ids.new_zeros(0)
            return splice(input_ids, attention_mask, text, nothing, none, labels, pad_left=pad_left), None
        asked = mean_question(text, input_ids == IMAGE_TOKEN, attention_mask, labels)
        rows = ((input_ids == IMAGE_TOKEN) & attention_mask).nonzero()[:, 0]
        seen = self.look(features, asked[rows], image_sizes)
        laid = seen.layout
        spliced = splice(input_ids, attention_mask, text, laid.tokens, laid.lengths, labels, pad_left=pad_left)
        return spliced, seen.inside(spliced.visual_positions)

    def embed_text(self, input_ids: Tensor, image_token: int) -> Tensor:
        """`[batch, text]` -> `[batch, text, width]`; what stands at `image_token` means nothing yet."""
        llm: Any = self.language_model
        return llm.get_input_embeddings()(input_ids.masked_fill(input_ids == image_token, 0))

    def look(self, features: Sequence[Tensor], asked: Tensor, image_sizes: Sequence[ImageSize] | None) -> Seen:
        """What the connector makes of each picture. `asked: [images, width]`, see `mean_question`.

        Raises ValueError where there are not as many features as encoders.
        """
        if len(features) != len(self.grids):
            names = ", ".join(self.config.encoders)
            raise ValueError(
                f"features: {len(features)} tensors for {len(self.grids)} encoders; give one each of {names}"
            )
        visual = self.connector(features, asked, image_sizes)
        return Seen(self._lay_out(visual.tokens, image_sizes), visual.context)

    def visual_lengths(self, images: int, image_sizes: Sequence[ImageSize] | None) -> list[int]:
        """How many visual tokens each picture gives."""
        if self.row_separator is None:
            return [self.connector.queries] * images
        return [visual_length(self.connector.queries, size) for size in image_sizes or [_SQUARE] * images]

    def _lay_out(self, tokens: Tensor, sizes: Sequence[ImageSize] | None) -> Layout:
        if self.row_separator is None:
            return whole_grids(tokens)
        return separated_rows(tokens, self.row_separator, sizes or [_SQUARE] * len(tokens))

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


def mean_question(text: Tensor, is_image: Tensor, attention_mask: Tensor, labels: Tensor | None) -> Tensor:
    """Mean embedding of what each sample asks, [batch, width]: its text before the first supervised token.

    text: [batch, text, width], is_image: bool [batch, text]. No token of an answer may be in it, or the model would be told in
    training what it must say.
    """
    is_text = attention_mask & ~is_image
    if labels is not None:
        is_text &= (labels != IGNORE).cumsum(1) == 0
    return (text * is_text.unsqueeze(-1)).sum(1) / is_text.sum(1, keepdim=True).clamp(min=1)


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
    return flat.index_copy(0, inner.positions, updated).view_as(output)


def _llm_config(language_model: nn.Module) -> Any:
    return language_model.config
