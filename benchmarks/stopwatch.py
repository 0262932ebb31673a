"""How long the parts of a step take, with the device waited for between them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


def now(device: str) -> float:
    """Seconds, all work of the device done; on a CPU those that the process had of its one core."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


class Stopwatch:
    """Adds up seconds by name."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._last = now(device)
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def lap(self, name: str) -> None:
        """What has passed since the last call was for this."""
        reached = now(self._device)
        self.seconds[name] += reached - self._last
        self._last = reached

    @contextmanager
    def around(self, encoders: Sequence[nn.Module]) -> Generator[None]:
        """Meanwhile what an encoder does counts as "encode", and what was done before it as "data"."""

        def before(*_: Any) -> None:
            self.lap("data")

        def behind(*_: Any) -> None:
            self.lap("encode")

        hooks = [one.register_forward_pre_hook(before) for one in encoders]
        hooks += [one.register_forward_hook(behind) for one in encoders]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
