"""Gradient checkpointing under PyTorch/XLA, whose devices torch's own does not know and whose compiler would undo it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from torch import Tensor
from torch.utils import checkpoint


def checkpoint_on_xla(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)`, computed again in the backward pass.

    torch_xla's own function gives no gradients to tensors that come by name or inside other objects.
    """
    import torch_xla.core.xla_model as xla_model  # pyright: ignore[reportMissingImports]

    xla: Any = xla_model
    torch_own: Any = checkpoint
    drawn = xla.get_rng_state()
    held = _tensors(args)

    @contextmanager
    def again() -> Generator[None]:
        with xla.fork_rng():
            xla.set_rng_state(drawn)
            # Otherwise the compiler sees one computation twice and keeps its results, or does it again long before it has to.
            xla.optimization_barrier_(held)
            yield

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), again()

    # Without arguments of its own, torch's function asks no device for random states.
    output = torch_own.checkpoint(partial(function, *args, **kwargs), use_reentrant=False, context_fn=contexts)
    for tensor in _tensors([output]):
        if tensor.requires_grad:
            tensor.register_hook(held.append)
    return output


def _tensors(values: Any) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, list | tuple):
            found += _tensors(value)
        elif isinstance(value, Tensor) and value.device.type == "xla":
            found.append(value)
    return found
