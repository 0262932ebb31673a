"""Gradient checkpointing by module: activations are dropped after the forward pass and computed again for the backward pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils import checkpoint

from opabinia.models.activation_checkpointing_config import ActivationCheckpointing
from opabinia.models.activation_checkpointing_xla import checkpoint_on_xla

if TYPE_CHECKING:
    from opabinia.models.multimodal import MultimodalModel


class Checkpointed(nn.Module):
    """Mixed into the class of a module that computes its activations twice, with the same random numbers."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The module together with its hooks: what SVA adds behind a decoder layer is not kept either."""
        if not torch.is_grad_enabled():
            return super().__call__(*args, **kwargs)
        if next((parameter.device.type for parameter in self.parameters()), "cpu") == "xla":
            return checkpoint_on_xla(super().__call__, *args, **kwargs)
        library: Any = checkpoint
        return library.checkpoint(super().__call__, *args, use_reentrant=False, **kwargs)


def checkpoint_activations(
    model: MultimodalModel, settings: ActivationCheckpointing, encoders: Iterable[nn.Module] = ()
) -> None:
    """Call once, before sharding and compiling; a second call adds to the first. Parameters keep their names.

    `encoders` are those that are trained. Raises ValueError for one in which no repeated blocks are found.
    """
    if settings.decoder_layers:
        llm: Any = model.language_model
        compute_twice(list(llm.get_decoder().layers)[:: settings.decoder_layers])
    if settings.connector:
        compute_twice([model.connector])
    if settings.encoders:
        compute_twice([block for encoder in encoders for block in _blocks_that_must_be(encoder)])


def compute_twice(modules: Iterable[nn.Module]) -> None:
    """Let each of these modules keep nothing between its inputs and its outputs."""
    for module in modules:
        if not isinstance(module, Checkpointed):
            module.__class__ = _checkpointed(type(module))


def repeated_blocks(network: nn.Module) -> list[nn.Module]:
    """The blocks that a network is a pile of: the members of its innermost lists of several modules of one class; maybe none."""
    return list(_blocks(network))


def _blocks_that_must_be(encoder: nn.Module) -> list[nn.Module]:
    found = repeated_blocks(encoder)
    if not found:
        raise ValueError(
            f"activation_checkpointing.encoders: {type(encoder).__name__} has no repeated blocks; set it to false"
        )
    return found


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    inner = [block for child in module.children() for block in _blocks(child)]
    yield from inner or (module.children() if _is_pile(module) else ())


def _is_pile(module: nn.Module) -> bool:
    members = list(module.children())
    one_class = len({type(member) for member in members}) == 1
    composed = one_class and any(True for _ in members[0].children())
    return isinstance(module, nn.ModuleList | nn.Sequential) and len(members) > 1 and composed


@cache
def _checkpointed(kind: type[nn.Module]) -> type[nn.Module]:
    # The name stays, for libraries know their own classes by it.
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return type(kind.__name__, (Checkpointed, kind), names)
