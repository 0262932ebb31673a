"""Training on the CPU, workers joined by gloo."""

from __future__ import annotations

import torch

from opabinia.training.backends.config import HardwareConfig
from opabinia.training.backends.native import NativeBackend


def open_cpu(config: HardwareConfig) -> NativeBackend:
    """In float32 unless bfloat16 is asked for: few CPUs are faster with it."""
    computes_in = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    return NativeBackend(torch.device("cpu"), computes_in, config.sharding == "sharded")
