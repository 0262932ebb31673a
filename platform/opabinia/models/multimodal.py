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
from opabinia.models.samples import check_packing, check_samples, mean_questions
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
        """Train or score.

        input_ids: [batch, text], IMAGE_TOKEN where an image goes, padded on the right. labels: [batch, text].
        features: per encoder [images, tokens, width], images in the order of their placeholders; empty for text alone.
        image_sizes: width and height of pictures that were padded to squares; their padding is left out.
        samples: [batch, text], which sample of its row each token belongs to, from 1, and 0 at padding; None where every row is
        one sample. Samples of one row do not see each other, and each begins at position 0.
        Raises ValueError where placeholders, images and sizes differ in number, and where samples cannot be kept apart.
        """
        mask = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        if samples is not None:
            check_samples(samples, mask)
            self.check_packing()
        spliced, inner = self.assemble(input_ids, mask, features, labels, image_sizes=image_sizes, samples=samples)
        # Padding stands on the right, so causality alone keeps it unseen; positions that begin again keep samples apart, which
        # transformers looks for only where neither a mask nor a cache is given.
        logits = self.language_model(
            inputs_embeds=spliced.embeddings,
            position_ids=spliced.position_ids,
            use_cache=False,
            inner_visual=inner,
        ).logits
        return ModelOutput(logits, None if spliced.labels is None else next_token_loss(logits, spliced.labels))

    def check_packing(self) -> None:
        """Raises ValueError where the language model cannot keep samples of one row apart; tried once, so best before it is sharded."""
        if not self._packing_checked:
            check_packing(self.language_model)
        self._packing_checked = True

    def assemble(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        features: Sequence[Tensor],
        labels: Tensor | None = None,
        *,
        image_sizes: Sequence[ImageSize] | None = None,
        pad_left: bool = False,
        samples: Tensor | None = None,
    ) -> tuple[Spliced, InnerVisual | None]:
        """The language model's input, and what its inner layers read again (None without images)."""
        text = self.embed_text(input_ids, IMAGE_TOKEN)
        put = partial(splice, input_ids, attention_mask, text, labels=labels, pad_left=pad_left, samples=samples)
        if not features or not len(features[0]):
            return put(text.new_zeros(0, text.shape[-1]), input_ids.new_zeros(0)), None
        is_image = input_ids == IMAGE_TOKEN
        numbers = torch.ones_like(input_ids) if samples is None else samples
        asked = mean_questions(text, is_image, attention_mask, labels, numbers)
        rows, columns = (is_image & attention_mask).nonzero().unbind(1)
        seen = self.look(features, asked[rows, numbers[rows, columns] - 1], image_sizes)
        spliced = put(seen.layout.tokens, seen.layout.lengths)
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
    """Mean embedding of what each row asks, [batch, width], where every row is one sample; see `mean_questions`."""
    samples = torch.ones_like(attention_mask, dtype=torch.long)
    return mean_questions(text, is_image, attention_mask, labels, samples)[:, 0]


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
