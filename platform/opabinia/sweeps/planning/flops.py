"""How much arithmetic training needs.

The idea is that of Chowdhery et al. 2022 (PaLM, appendix B): operations that the model needs, not those that are done, with 2 for a
multiplied-and-added pair. For a sample of n tokens, s of them supervised, a decoder needs forward

    2 n P + 2 n (n + 1) L A + 2 s V H      P numbers in the layers' matrices, L layers, A width of all heads, V vocabulary, H width

since attention is causal. Backward takes as much again for the gradients of what flows through, and as much a third time for those of
the weights that learn; of attention always twice as much, since both its factors flow through. Nothing counts twice that is computed
twice (activation checkpointing), and padding never counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from opabinia.encoders.entry import EncoderEntry
    from opabinia.models.multimodal import MultimodalModel


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """matrices: numbers in the matrices of all layers; of a mixture of experts all are counted. attention: width of all heads."""

    matrices: int
    layers: int
    width: int
    attention: int
    vocabulary: int

    def forward(self, tokens: float, supervised: float) -> float:
        """Of one sample."""
        return self._products(tokens, supervised) + self._attention(tokens)

    def training(self, tokens: float, supervised: float, learning: float) -> float:
        """Forward and backward of one sample. learning: share of the weights that learn; attention multiplies no weights, but what
        flows through with what flows through.
        """
        return training_factor(learning) * self._products(tokens, supervised) + 3 * self._attention(tokens)

    def _products(self, tokens: float, supervised: float) -> float:
        return 2 * tokens * self.matrices + 2 * supervised * self.vocabulary * self.width

    def _attention(self, tokens: float) -> float:
        return 2 * tokens * (tokens + 1) * self.layers * self.attention


def decoder_shape(language_model: nn.Module) -> DecoderShape:
    """Of one of transformers' decoders; LoRA adapters, if it has any, count among its matrices."""
    llm: Any = language_model
    config = llm.config.get_text_config()
    layers: list[nn.Module] = list(llm.get_decoder().layers)
    # Families without attention have no heads.
    heads = getattr(config, "num_attention_heads", None) or 0
    head = getattr(config, "head_dim", None) or config.hidden_size // max(1, heads)
    matrices = sum(p.numel() for layer in layers for p in layer.parameters() if p.dim() > 1)
    return DecoderShape(matrices, len(layers), config.hidden_size, heads * head, config.vocab_size)


def learning_share(module: nn.Module) -> float:
    """Of its parameters, 0 to 1."""
    total = sum(parameter.numel() for parameter in module.parameters())
    return sum(p.numel() for p in module.parameters() if p.requires_grad) / total if total else 0.0


def training_factor(learning: float) -> float:
    """Times forward: once itself, once for the gradients that flow through, and for the weights' own as far as they learn."""
    return 2 + learning


def connector_flops(model: MultimodalModel, *, through: bool) -> float:
    """Of one picture, forward and, where something learns, backward; what layers inside the language model read again included.

    model: on the meta device, frozen where it does not learn. through: whether gradients flow on to the encoders. Counted by torch.
    """
    return counted(lambda: _connect(model, through))


def encoder_flops(entry: EncoderEntry) -> tuple[float, bool]:
    """Forward of one picture, and whether torch counted it; else it is told from the entry's size, as of a plain transformer.

    The networks of transformers and of one's own cannot be built without their configurations, which are not here.
    """
    import torch

    encoder = _bare_encoder(entry)
    if encoder is None:
        return transformer_flops(entry), False
    pixels = torch.empty(1, 3, entry.input_size, entry.input_size, device="meta")
    return counted(lambda: encoder(pixels)), True


def _bare_encoder(entry: EncoderEntry) -> nn.Module | None:
    import torch

    from opabinia.encoders.backbones import clip_models, timm_models
    from opabinia.encoders.loading import VisionEncoder, load_encoder
    from opabinia.storage.packaged import PREFIX

    if entry.weights.startswith(PREFIX):
        return load_encoder(entry.id).to("meta")
    build = {"timm": timm_models.build, "open_clip": clip_models.build}.get(entry.library)
    if build is None:
        return None
    with torch.device("meta"):
        return VisionEncoder(entry, build(entry))


def transformer_flops(entry: EncoderEntry) -> float:
    """Forward of one picture through a vision transformer with a layer's usual 12 width² numbers and attention over all patches."""
    tokens = entry.native_grid**2 + entry.leading_tokens
    width = entry.width // len(entry.layers) // entry.unshuffle**2
    return 2 * tokens * entry.parameters + 4 * tokens**2 * (entry.parameters / (12 * width))


def counted(run: Callable[[], Any]) -> float:
    """Operations of the matrix products, convolutions and attention in it."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def _connect(model: MultimodalModel, through: bool) -> None:
    import torch

    connector = model.connector
    width = decoder_shape(model.language_model).width
    grids = [torch.empty(1, g.side**2, g.width, device="meta", requires_grad=through) for g in model.grids]
    visual = connector(grids, torch.empty(1, width, device="meta"))
    answers = [visual.tokens]
    for layer in connector.inner_layers:
        hidden = torch.empty(connector.queries, width, device="meta", requires_grad=True)
        answers.append(connector.reread(layer, hidden, visual.context))
    learning = [answer for answer in answers if answer.requires_grad]
    if learning:
        torch.autograd.backward(learning, [torch.empty_like(answer) for answer in learning])
