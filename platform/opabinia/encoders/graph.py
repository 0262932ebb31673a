"""Which of a network's parameters an answer of it depends on."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def only_the_graph() -> Generator[None]:
    """Note down what is computed from what, but keep none of the activations that a backward pass would need."""

    def nothing(_: Any) -> Any:
        return None

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(nothing, nothing):
        yield


def names_behind(answer: Tensor, network: nn.Module) -> frozenset[str]:
    """Names of the network's parameters that the answer was computed from, read off the graph of its gradient."""
    leaves = _leaves(answer)
    return frozenset(name for name, parameter in network.named_parameters() if id(parameter) in leaves)


def _leaves(answer: Tensor) -> set[int]:
    # Nodes are kept, for one that is looked at again would be another object.
    seen, waiting = set[Any](), [answer.grad_fn]
    while waiting:
        node: Any = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [before for before, _ in node.next_functions]
    return {id(node.variable) for node in seen if hasattr(node, "variable")}
