"""Training on CUDA, workers joined by NCCL, one GPU to a worker."""

from __future__ import annotations

import torch

from opabinia.training.backends.config import HardwareConfig
from opabinia.training.backends.native import NativeBackend


def open_cuda(config: HardwareConfig) -> NativeBackend:
    """On the current device, which Ray Train sets for each worker. Raises ValueError where the machine cannot do what is asked."""
    if not torch.cuda.is_available():
        raise ValueError("hardware: cuda, but torch finds no GPU here; set hardware to cpu, or look at the driver")
    return NativeBackend(
        torch.device("cuda", torch.cuda.current_device()), _computes_in(config), config.sharding == "sharded"
    )


def _computes_in(config: HardwareConfig) -> torch.dtype:
    # Older GPUs only emulate bfloat16.
    has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if config.precision == "bfloat16" and not has_bfloat16:
        raise ValueError(f"precision: {torch.cuda.get_device_name()} has no bfloat16; set it to float32 or auto")
    return torch.bfloat16 if has_bfloat16 and config.precision != "float32" else torch.float32
