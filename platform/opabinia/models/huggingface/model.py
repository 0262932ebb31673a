"""An exported model as transformers knows models: from_pretrained, forward, generate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from connectors.padding import ImageSize
from opabinia.models.expanded import embed_expanded, sample_of_image
from opabinia.models.huggingface.config import OpabiniaConfig
from opabinia.models.multimodal import MultimodalModel, next_token_loss

if TYPE_CHECKING:
    from opabinia.encoders.loading import VisionEncoder

_VISUAL = ("pixel_values", "features", "image_sizes")
"""What is given once a picture rather than once a sample."""


class OpabiniaForCausalLM(PreTrainedModel, GenerationMixin):
    """Connector and language model; the encoders are loaded by name when the first picture comes, and are not part of the weights."""

    config_class: ClassVar[Any] = OpabiniaConfig
    base_model_prefix = "multimodal"
    input_modalities: ClassVar[Any] = ("image", "text")
    _supports_sdpa = True

    def __init__(self, config: OpabiniaConfig) -> None:
        super().__init__(config)
        library: Any = AutoModelForCausalLM
        llm = library.from_config(config.text_config)
        self.multimodal = MultimodalModel(config.makeup(), llm, config.grid_shapes())
        # A list inside a tuple is no submodule: the encoders' weights belong to neither the state nor the folder.
        self._encoders: tuple[list[VisionEncoder]] = ([],)
        self.post_init()
        # transformers looks for tied weights among its own models' direct children only.
        self.all_tied_weights_keys = self.get_expanded_tied_weights_keys(all_submodels=True)

    def get_input_embeddings(self) -> Any:
        return self._language_model.get_input_embeddings()

    def get_output_embeddings(self) -> Any:
        return self._language_model.get_output_embeddings()

    def forward(
        self,
        input_ids: Tensor,
        pixel_values: Sequence[Tensor] | None = None,
        image_sizes: Tensor | Sequence[ImageSize] | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        features: Sequence[Tensor] | None = None,
        past_key_values: Any = None,
        **options: Any,
    ) -> CausalLMOutputWithPast:
        """As the processor gives it.

        input_ids: [batch, text], image_token_id once for each visual token. pixel_values: per encoder [images, 3, size, size];
        or features: per encoder [images, tokens, width]. image_sizes: [images, 2], width and height.
        Raises ValueError where image tokens and pictures do not agree, and for pictures where an encoder is not in the catalogue.
        """
        # While it generates, the mask covers what the cache holds as well.
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask[:, -input_ids.shape[1] :]
        embeddings, inner = embed_expanded(
            self.multimodal, input_ids, self._image_token, mask.bool(), self._features(pixel_values, features),
            labels, _pairs(image_sizes),
        )  # fmt: skip
        options.pop("inputs_embeds", None)
        output = self._language_model(
            inputs_embeds=embeddings,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            inner_visual=inner,
            **options,
        )
        loss = None if labels is None else next_token_loss(output.logits, labels)
        return CausalLMOutputWithPast(loss=loss, logits=output.logits, past_key_values=output.past_key_values)

    def prepare_inputs_for_generation(
        self, *args: Any, is_first_iteration: bool = False, **kwargs: Any
    ) -> dict[str, Any]:
        # Seen as Any: transformers types this for a protocol that its own models do not fulfil.
        parent: Any = super()
        prepared: dict[str, Any] = parent.prepare_inputs_for_generation(
            *args, is_first_iteration=is_first_iteration, **kwargs
        )
        if not is_first_iteration and kwargs.get("use_cache", True):
            prepared.pop("features", None)
        return prepared

    def _expand_inputs_for_generation(
        self, expand_size: int = 1, is_encoder_decoder: bool = False, input_ids: Any = None, **options: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Beams and several answers a prompt: the pictures of a sample are repeated together, in their order."""
        visual = {name: options.pop(name) for name in _VISUAL if options.get(name) is not None}
        if visual and expand_size > 1:
            visual = self._repeated(visual, input_ids, expand_size)
        parent: Any = super()
        ids, expanded = parent._expand_inputs_for_generation(expand_size, is_encoder_decoder, input_ids, **options)
        return ids, {**expanded, **visual}

    def _repeated(self, visual: Mapping[str, Any], input_ids: Tensor, times: int) -> dict[str, Any]:
        sizes = _pairs(visual.get("image_sizes"))
        features = self._features(visual.get("pixel_values"), visual.get("features"))
        lengths = self.multimodal.visual_lengths(len(features[0]), sizes)
        rows = sample_of_image(input_ids == self._image_token, lengths)
        order = torch.cat([(rows == row).nonzero().flatten().repeat(times) for row in range(len(input_ids))])
        repeated: dict[str, Any] = {"features": [grid[order] for grid in features]}
        if sizes is not None:
            repeated["image_sizes"] = [sizes[int(place)] for place in order]
        return repeated

    def _features(self, pixels: Sequence[Tensor] | None, features: Sequence[Tensor] | None) -> Sequence[Tensor]:
        if features is not None or pixels is None:
            return features or ()
        parameter = next(self.parameters())
        return [
            encoder.to(parameter.device)(image.to(parameter.device, torch.float32)).to(parameter.dtype)
            for encoder, image in zip(self._load_encoders(), pixels, strict=True)
        ]

    def _load_encoders(self) -> list[VisionEncoder]:
        from opabinia.encoders.loading import load_encoder
        from opabinia.models.encoder_weights import check_encoder_weights

        if not self._encoders[0]:
            config: Any = self.config
            check_encoder_weights(config.encoder_weights or {}, "config.json")
            self._encoders[0].extend(load_encoder(name) for name in config.encoders)
        return self._encoders[0]

    def _init_weights(self, module: Any) -> None:
        """Connectors start as they were built; transformers would draw their weights again from one deviation for all."""

    @property
    def _language_model(self) -> Any:
        return self.multimodal.language_model

    @property
    def _image_token(self) -> int:
        config: Any = self.config
        return int(config.image_token_id)


def _pairs(sizes: Tensor | Sequence[ImageSize] | None) -> list[ImageSize] | None:
    if sizes is None:
        return None
    return [(int(width), int(height)) for width, height in sizes]
