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
from opabinia.data.collate import TextBatch
from opabinia.data.prompts import IGNORE
from opabinia.encoders.catalogue import find_encoder
from opabinia.models.attention import apart
from opabinia.models.layout import Layout
from opabinia.models.multimodal_config import ModelConfig
from opabinia.models.places import Places, place
from opabinia.models.putting import mean_questions, put_back, put_in, take_out
from opabinia.models.samples import check_packing


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """`logits: [batch, length, vocabulary]` over text and visual tokens; `loss` is the mean over supervised tokens, if labels came."""

    logits: Tensor
    loss: Tensor | None


@dataclass(frozen=True, slots=True)
class InnerVisual:
    """What the layers inside the language model need: the connector's context, a cell a visual token, and where these stand."""

    context: VisualContext
    places: Places


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
        self._packing_checked = False

    def forward(
        self,
        input_ids: Tensor,
        features: Sequence[Tensor],
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        image_sizes: Sequence[ImageSize] | None = None,
        samples: Tensor | None = None,
    ) -> ModelOutput:
        """Score.

        input_ids: [batch, text], IMAGE_TOKEN where an image goes, padded on the right. labels: [batch, text].
        features: per encoder [images, tokens, width], images in the order of their placeholders; empty for text alone.
        image_sizes: width and height of pictures that were padded to squares; their padding is left out.
        samples: [batch, text], which sample of its row each token belongs to, from 1, and 0 at padding; None where every row is
        one sample. Samples of one row do not see each other, and each begins at position 0.
        Raises ValueError where placeholders, images and sizes differ in number, and where samples cannot be kept apart.
        """
        batch = on_host(input_ids, attention_mask, labels, samples)
        places = place(batch, self.layout, sizes=image_sizes).to(input_ids.device)
        logits = self.language_model(**self._inputs(places, features)).logits
        return ModelOutput(logits, None if labels is None else next_token_loss(logits, places.labels))

    def hidden(self, places: Places, features: Sequence[Tensor]) -> Tensor:
        """[rows, length, width], behind the decoder's last norm, without ever waiting for the device: what the loss is computed from.

        features: per encoder [slots, tokens, width]; empty for text alone, unless shapes are static.
        Where rows are packed, call `check_packing` before, or the first call does, and waits.
        Raises ValueError as `forward` does.
        """
        llm: Any = self.language_model
        return llm.get_decoder()(**self._inputs(places, features)).last_hidden_state

    def embed(self, places: Places, features: Sequence[Tensor]) -> tuple[Tensor, InnerVisual | None]:
        """The language model's input [rows, length, width], and what its inner layers read again (None without pictures)."""
        text = self.embed_text(places.token_ids)
        self._check_features(places, features)
        if not features or not len(features[0]):
            return text, None
        groups = text.view(len(places.visual), -1, text.shape[-1])
        visual = self.connector(features, mean_questions(groups, places), places.sizes)
        tokens, context = visual.tokens.flatten(0, 1), visual.context
        if places.cells is not None:
            tokens = tokens.index_select(0, places.cells)
            context = None if context is None else context.at(places.cells)
        embeddings = put_in(groups, tokens, places, self.row_separator).view_as(text)
        return embeddings, None if context is None else InnerVisual(context, places)

    def embed_text(self, token_ids: Tensor) -> Tensor:
        """`[rows, length]` -> `[rows, length, width]`"""
        llm: Any = self.language_model
        return llm.get_input_embeddings()(token_ids)

    def check_packing(self) -> None:
        """Raises ValueError where the language model cannot keep samples of one row apart; tried once, so best before it is sharded."""
        if not self._packing_checked:
            check_packing(self.language_model)
        self._packing_checked = True

    @property
    def layout(self) -> Layout:
        """What `place` must know of the model."""
        return Layout(self.connector.queries, separated=self.row_separator is not None)

    def visual_lengths(self, images: int, image_sizes: Sequence[ImageSize] | None) -> list[int]:
        """How many visual tokens each picture gives."""
        return self.layout.lengths(images, image_sizes)

    def _inputs(self, places: Places, features: Sequence[Tensor]) -> dict[str, Any]:
        """Padding stands on the right, so causality alone keeps it unseen."""
        if places.packed:
            self.check_packing()
        embeddings, inner = self.embed(places, features)
        attention = apart(self.language_model, embeddings, places.samples if places.packed else None)
        return {
            "inputs_embeds": embeddings,
            "position_ids": places.position_ids,
            "inner_visual": inner,
            **attention,
        }

    def _check_features(self, places: Places, features: Sequence[Tensor]) -> None:
        if features and len(features) != len(self.grids):
            names = ", ".join(self.config.encoders)
            raise ValueError(
                f"features: {len(features)} tensors for {len(self.grids)} encoders; give one each of {names}"
            )
        images = len(features[0]) if features else 0
        if images != places.slots:
            raise ValueError(
                f"features: {images} pictures for {places.slots} image placeholders in input_ids, blank ones included; give one each"
            )

    def _attach_inner_layers(self) -> None:
        layers = _decoder_layers(self.language_model)
        for index in self.connector.inner_layers:
            if index >= len(layers):
                raise ValueError(
                    f"connector.in_llm_count: layer {index} is asked for, but the language model has {len(layers)}; "
                    "lower in_llm_start, in_llm_stride or in_llm_count"
                )
            layers[index].register_forward_hook(partial(_reread, self.connector, index), with_kwargs=True)


def on_host(
    input_ids: Tensor, attention_mask: Tensor | None, labels: Tensor | None, samples: Tensor | None
) -> TextBatch:
    """All [batch, text], from wherever they are; without a mask every token is real, and without labels none is asked for."""
    ids = input_ids.cpu()
    return TextBatch(
        input_ids=ids,
        labels=torch.full_like(ids, IGNORE) if labels is None else labels.cpu(),
        attention_mask=torch.ones_like(ids, dtype=torch.bool)
        if attention_mask is None
        else attention_mask.cpu().bool(),
        samples=None if samples is None else samples.cpu(),
        images=[],
        image_keys=[],
    )


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
    groups = output.view(len(inner.places.visual), -1, output.shape[-1])
    read = connector.reread(index, take_out(groups, inner.places).flatten(0, 1), inner.context)
    return put_back(groups, read, inner.places).view_as(output)


def _decoder_layers(language_model: Any) -> list[nn.Module]:
    layers: nn.ModuleList | None = getattr(language_model.get_decoder(), "layers", None)
    if layers is None:
        raise ValueError(
            f"language_model: the decoder of {type(language_model).__name__} has no `layers`; choose one built as Llama is, such as "
            "Qwen2, Mistral or Phi-3"
        )
    return list(layers)


def _llm_config(language_model: nn.Module) -> Any:
    return language_model.config
