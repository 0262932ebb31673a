"""Networks that none of the libraries has: a function of one's own builds them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from torch import Tensor, nn

from opabinia.encoders.entry import EncoderEntry
from opabinia.encoders.reading import map_from_tokens
from opabinia.storage.packaged import weights_location


def load(entry: EncoderEntry) -> nn.Module:
    """Calls the function that `model` names ("module:function") with the place of the weights.

    Raises ValueError when there is no such function.
    """
    module, _, function = entry.model.partition(":")
    try:
        build = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"model {entry.model!r} is not a module:function that can be imported: {error}") from error
    return build(weights_location(entry.weights))


def maps(network: nn.Module, pixels: Tensor, entry: EncoderEntry) -> list[Tensor]:
    """The network's answer to pixels: a map `[batch, channels, side, side]`, tokens `[batch, tokens, channels]`, or several."""
    answer: Tensor | Sequence[Tensor] = network(pixels)
    outputs = [answer] if isinstance(answer, Tensor) else answer
    return [
        output if output.dim() == 4 else map_from_tokens(output, entry.leading_tokens, entry.id) for output in outputs
    ]
