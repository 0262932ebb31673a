"""Ray Train's settings for so many workers on some hardware; needs no torch where one worker trains on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opabinia.training.backends.choose import Chosen
from opabinia.training.backends.config import Hardware

if TYPE_CHECKING:
    from ray.train import ScalingConfig
    from ray.train.backend import BackendConfig

_GROUPS: dict[Hardware, str] = {"cpu": "gloo", "cuda": "nccl", "tpu": "tpu_dist"}


def scaling_config(chosen: Chosen, count: int, cpus: float) -> ScalingConfig:
    """`count` workers that reserve `cpus` each: a GPU each, a TPU chip each (tpu), or all chips of a TPU host each (xla).

    Raises ValueError where the workers do not fill whole slices.
    """
    from ray.train import ScalingConfig

    if chosen.slice is None:
        gpus = {"GPU": 1.0} if chosen.hardware == "cuda" else {}
        return ScalingConfig(
            num_workers=count, use_gpu=chosen.hardware == "cuda", resources_per_worker={"CPU": cpus, **gpus}
        )
    from ray.util.tpu import get_tpu_worker_resources

    shape, kind = chosen.slice
    chips = {"TPU": 1.0} if chosen.hardware == "tpu" else {}
    whole, resources = get_tpu_worker_resources(shape, kind, {"CPU": cpus, **chips})
    if count % whole:
        nearest = max(1, round(count / whole)) * whole
        raise ValueError(
            f"workers.count: {count} do not fill slices of {shape}, which take {whole} each; use {nearest}"
        )
    return ScalingConfig(
        num_workers=count, use_tpu=True, topology=shape, accelerator_type=kind, resources_per_worker=resources
    )


def backend_config(chosen: Chosen, count: int) -> BackendConfig:
    """How Ray Train joins the workers."""
    if chosen.hardware == "xla":
        from opabinia.training.backends.xla_workers import XlaConfig

        return XlaConfig()
    if chosen.hardware == "cpu" and count == 1:
        from ray.train.backend import BackendConfig

        # Without a process group, a single worker starts sooner.
        return BackendConfig()
    from ray.train.torch import TorchConfig

    return TorchConfig(backend=_GROUPS[chosen.hardware])
