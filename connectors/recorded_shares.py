"""What each encoder counts in the forward passes that a model makes meanwhile: nothing is asked of passes that nobody records."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from connectors.contract import Connector, VisualContext
from connectors.sva_block import SvaBlock

WHOLE = "connector"
"""The place of shares that a connector gives as one."""

Recorded = dict[str, list[Tensor]]
"""Place -> for each pass [images, encoders], rows summing to 1."""


@contextmanager
def recorded_shares(connector: Connector) -> Generator[Recorded]:
    """Of a Spatial Vision Aggregator attention per layer, "group 0 layer 0" in front of the language model and "LLM layer 4" inside it,
    meant over heads and queries; of other connectors what `shares` gives. Empty where these give nothing.
    """
    recorded: Recorded = {}
    modules = cast("Iterable[tuple[str, nn.Module]]", connector.named_modules())
    hooks = [
        module.register_forward_hook(_of_block(recorded, _place(name)))
        for name, module in modules
        if isinstance(module, SvaBlock)
    ]
    if not hooks:
        hooks = [connector.register_forward_hook(_of_connector(recorded), with_kwargs=True)]
    try:
        yield recorded
    finally:
        for hook in hooks:
            hook.remove()


def _of_block(recorded: Recorded, place: str) -> Any:
    def hook(block: SvaBlock, args: tuple[Tensor, VisualContext], _: Tensor) -> None:
        query, context = args
        with torch.no_grad():
            shares = block.shares(query, context).float()
        recorded.setdefault(place, []).append(_mean_of_image(shares, context.image_of, len(context.summary)))

    return hook


def _of_connector(recorded: Recorded) -> Any:
    def hook(connector: Connector, args: tuple[Any, ...], kwargs: dict[str, Any], _: Any) -> None:
        with torch.no_grad():
            shares = connector.shares(*args[:2], **{name: kwargs[name] for name in ("grids", "text") if name in kwargs})
        if shares is not None:
            recorded.setdefault(WHOLE, []).append(shares.float())

    return hook


def _mean_of_image(shares: Tensor, image_of: Tensor, images: int) -> Tensor:
    """[cells, encoders] and the image of each cell -> [images, encoders]"""
    total = shares.new_zeros(images, shares.shape[1]).index_add_(0, image_of, shares)
    cells = shares.new_zeros(images).index_add_(0, image_of, shares.new_ones(len(shares)))
    return total / cells.unsqueeze(1)


def _place(name: str) -> str:
    """ "groups.0.1" and "inner.4", as an aggregator calls its blocks, in words."""
    kind, *numbers = name.split(".")
    return f"LLM layer {numbers[0]}" if kind == "inner" else f"group {numbers[0]} layer {numbers[1]}"
