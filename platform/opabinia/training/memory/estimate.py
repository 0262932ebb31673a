"""What a step of training takes in a device's memory, by estimate: good for telling which setting saves how much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import nn

    from opabinia.models.multimodal import MultimodalModel
    from opabinia.training.recipe.stages import StageConfig

Precision = Literal["float32", "bfloat16"]

_BYTES: dict[Precision, int] = {"float32": 4, "bfloat16": 2}

# Bytes that a layer of the Llama family keeps for each position, per width and per inner width of its gated MLP: what autograd
# saves in transformers 5.23, counted once per storage (the test counts again). Norms and the residual stream stay float32. Frozen
# weights need no inputs of theirs for a gradient.
_KEPT: dict[tuple[Precision, bool], tuple[float, float]] = {
    ("float32", True): (40, 16),
    ("float32", False): (24, 12),
    ("bfloat16", True): (34, 8),
    ("bfloat16", False): (16, 6),
}
_STREAM_BYTES = 4


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    """What decides how much memory one worker's device must have.

    stage, device: for messages. batch: rows of a step, over all workers. rows: those computed on at once. tokens: the longest row,
    visual tokens included. weights, trained: bytes of all weights of the model and of those that learn, as if on one device.
    encoders: bytes of frozen encoders, which every worker holds whole; 0 where features are cached. layers, width, inner_width,
    vocabulary: the language model's. layers_twice: layers whose activations are computed twice. logit_positions: most positions whose
    logits exist at once; None for all. cached: most bytes of the host's memory in which features are held.
    """

    stage: str
    device: str
    workers: int
    sharded: bool
    precision: Precision
    batch: int
    rows: int
    tokens: int
    weights: int
    trained: int
    encoders: int
    layers: int
    width: int
    inner_width: int
    vocabulary: int
    language_model_learns: bool
    layers_twice: int
    logit_positions: int | None = None
    cached: int = 0
    data_tasks: int = 0


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes on one device; gradients, AdamW's two moments and activations are those at the end of a forward pass."""

    weights: int
    gradients: int
    optimiser: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimiser + self.activations + self.logits


def memory_facts(
    model: MultimodalModel,
    stage: StageConfig,
    *,
    device: str,
    workers: int,
    rows: int,
    tokens: int,
    sharded: bool = False,
    precision: Precision = "float32",
    encoders: int = 0,
    learning: Iterable[nn.Module] = (),
    logit_positions: int | None = None,
    cached: int = 0,
    data_tasks: int = 0,
) -> MemoryFacts:
    """The facts of a stage for which `model` was made ready: what does not learn is frozen. learning: encoders beside it that are run
    in the step. See `MemoryFacts`.
    """
    from opabinia.models.activation_checkpointing import Checkpointed

    whole = [model, *learning]
    llm: Any = model.language_model
    config = llm.config.get_text_config()
    layers: list[nn.Module] = list(llm.get_decoder().layers)
    return MemoryFacts(
        stage=stage.name,
        device=device,
        workers=workers,
        sharded=sharded,
        precision=precision,
        batch=stage.batch,
        rows=rows,
        tokens=tokens,
        weights=sum(map(_bytes, whole)),
        trained=sum(_bytes(part, trained=True) for part in whole),
        encoders=encoders,
        layers=len(layers),
        width=config.hidden_size,
        inner_width=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        vocabulary=config.vocab_size,
        language_model_learns=any(parameter.requires_grad for parameter in layers[0].parameters()),
        layers_twice=sum(isinstance(layer, Checkpointed) for layer in layers),
        logit_positions=logit_positions,
        cached=cached,
        data_tasks=data_tasks,
    )


def estimate_memory(facts: MemoryFacts) -> MemoryEstimate:
    """Without the connector's activations, which are small beside the language model's, and those of encoders that learn."""
    shards = facts.workers if facts.sharded else 1
    return MemoryEstimate(
        weights=(facts.weights + _copies(facts)) // shards + facts.encoders,
        gradients=facts.trained // shards,
        optimiser=2 * facts.trained // shards,
        activations=_activations(facts),
        logits=_logits(facts),
    )


def _copies(facts: MemoryFacts) -> int:
    """Autocast keeps the weights that learn a second time, in what is computed with, for as long as the forward pass lasts."""
    return 0 if facts.precision == "float32" else facts.trained * _BYTES[facts.precision] // 4


def _activations(facts: MemoryFacts) -> int:
    per_width, per_inner = _KEPT[facts.precision, facts.language_model_learns]
    layer = per_width * facts.width + per_inner * facts.inner_width
    kept = (facts.layers - facts.layers_twice) * layer + facts.layers_twice * _STREAM_BYTES * facts.width
    # The layer that is being computed again is there in full.
    again = layer if facts.layers_twice else 0
    return int(facts.rows * facts.tokens * (kept + again))


def _logits(facts: MemoryFacts) -> int:
    """As computed, as float32, and the logarithms of their softmax."""
    positions = facts.rows * facts.tokens
    at_once = positions if facts.logit_positions is None else min(positions, facts.logit_positions)
    return at_once * facts.vocabulary * (_BYTES[facts.precision] + 4 + 4)


def _bytes(module: nn.Module, *, trained: bool = False) -> int:
    return sum(
        parameter.numel() * parameter.element_size()
        for parameter in module.parameters()
        if parameter.requires_grad or not trained
    )
