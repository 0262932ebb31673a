"""Which hardware a run trains on."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from opabinia.config import Config

Hardware = Literal["cpu", "cuda", "tpu", "xla"]
"""`tpu` is torch's own device for TPUs (package torch_tpu), `xla` is PyTorch/XLA (package torch_xla)."""


class HardwareConfig(Config):
    """The kind of hardware, and how a model and its numbers are laid on it."""

    hardware: Literal["auto", Hardware] = "auto"
    """auto takes what the cluster has at that moment; name it where machines are only started on demand."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What is computed with; weights stay float32. auto is float32 on a CPU and bfloat16 elsewhere."""

    sharding: Literal["replicated", "sharded"] = "replicated"
    """sharded: each device keeps its part of the weights and of the optimiser's state, and gathers a layer when it needs it."""

    compiled: bool = False
    """Compile the layers of language model and encoders (torch.compile): a minute or more at the start of a run, for faster steps on
    a GPU. xla compiles everything anyhow."""

    topology: str | None = None
    """Shape of a TPU slice in chips, like 2x2x2; null takes the one of the slices that the cluster has."""

    accelerator_type: str | None = None
    """Generation of the TPU, like TPU-V4; null takes that of the slices that the cluster has."""

    @model_validator(mode="after")
    def _slice_is_whole(self) -> HardwareConfig:
        if (self.topology is None) != (self.accelerator_type is None):
            raise ValueError("topology: means something only with accelerator_type; give both or neither")
        if self.topology is not None and self.hardware in ("cpu", "cuda"):
            raise ValueError(f"topology: {self.hardware} has no slices; leave out topology and accelerator_type")
        return self
