"""From what is asked for and what the cluster has to the hardware of a run; torch-free but for opening it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from opabinia.training.backends.config import Hardware, HardwareConfig

if TYPE_CHECKING:
    from opabinia.training.backends.backend import Backend

_TOPOLOGY, _KIND = "ray.io/tpu-topology", "ray.io/accelerator-type"


class Slice(NamedTuple):
    """The shape of a TPU slice in chips (2x2x2) and its generation (TPU-V4)."""

    topology: str
    accelerator_type: str


class Chosen(NamedTuple):
    """The hardware of a run, and for TPUs what its slices are."""

    hardware: Hardware
    slice: Slice | None = None


def choose(config: HardwareConfig, nodes: Iterable[Mapping[str, Any]]) -> Chosen:
    """`nodes`: as `ray.nodes()` describes them. Raises ValueError where a TPU's slices, or the package for them, are not known."""
    alive = [node for node in nodes if node["Alive"]]
    hardware = _found(alive) if config.hardware == "auto" else config.hardware
    if hardware in ("cpu", "cuda"):
        return Chosen(hardware)
    if config.topology is not None and config.accelerator_type is not None:
        return Chosen(hardware, Slice(config.topology, config.accelerator_type))
    return Chosen(hardware, _only_slice(alive))


def open_backend(hardware: Hardware, config: HardwareConfig) -> Backend:
    """In a worker of Ray Train, or for `cpu` and `cuda` in any process. Raises ValueError where the hardware is not there."""
    if hardware == "cuda":
        from opabinia.training.backends.cuda import open_cuda

        return open_cuda(config)
    if hardware == "tpu":
        from opabinia.training.backends.tpu import open_tpu

        return open_tpu(config)
    if hardware == "xla":
        from opabinia.training.backends.xla import open_xla

        return open_xla(config)
    from opabinia.training.backends.cpu import open_cpu

    return open_cpu(config)


def _found(nodes: list[Mapping[str, Any]]) -> Hardware:
    if _has(nodes, "GPU"):
        return "cuda"
    if not _has(nodes, "TPU"):
        return "cpu"
    if find_spec("torch_tpu"):
        return "tpu"
    if find_spec("torch_xla"):
        return "xla"
    raise ValueError(
        "hardware: the cluster has TPUs, but no package for them is installed; install opabinia[tpu] or opabinia[tpu-xla]"
    )


def _has(nodes: list[Mapping[str, Any]], resource: str) -> bool:
    return any(node["Resources"].get(resource, 0) > 0 for node in nodes)


def _only_slice(nodes: list[Mapping[str, Any]]) -> Slice:
    labels = [node["Labels"] for node in nodes if _has([node], "TPU")]
    slices = {Slice(label[_TOPOLOGY], label[_KIND]) for label in labels if _TOPOLOGY in label and _KIND in label}
    if len(slices) == 1:
        return slices.pop()
    known = " and ".join(sorted(f"{kind} {shape}" for shape, kind in slices)) or "no slice"
    raise ValueError(f"topology: the cluster shows {known}; choose by topology and accelerator_type (2x2x2, TPU-V4)")
