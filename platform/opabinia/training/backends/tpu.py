"""Training on a TPU through torch's own device for it (package torch_tpu), one chip to a worker."""

from __future__ import annotations

import torch

from opabinia.training.backends.config import HardwareConfig
from opabinia.training.backends.native import NativeBackend


def open_tpu(config: HardwareConfig) -> NativeBackend:
    """Importing torch has loaded torch_tpu, and Ray Train has joined the workers. Raises ValueError where there is no such device."""
    if not hasattr(torch, "tpu"):
        raise ValueError("hardware: tpu needs the package torch_tpu (pip install 'opabinia[tpu]'); or set it to xla")
    computes_in = torch.float32 if config.precision == "float32" else torch.bfloat16
    return NativeBackend(torch.device("tpu"), computes_in, config.sharding == "sharded")
