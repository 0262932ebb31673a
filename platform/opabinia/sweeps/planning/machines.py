"""Which machines a sweep would run on: those of the cluster that is there, or this one alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opabinia.cluster.joining import join_ray
from opabinia.cluster.resources import find_hardware

Node = Mapping[str, Any]
"""As `ray.nodes()` describes a machine."""

_TYPE = "accelerator_type:"


@dataclass(frozen=True, slots=True)
class Machines:
    """nodes: those that are alive. at_most: what the cluster may grow to on demand, by resource, or None where it does not grow.

    is_cluster: whether Ray told, or this machine alone was looked at.
    """

    nodes: tuple[Node, ...]
    is_cluster: bool = True
    at_most: Mapping[str, float] | None = None

    def total(self, resource: str) -> float:
        return sum(resources(node).get(resource, 0) for node in self.nodes)

    def largest(self, resource: str) -> float:
        """The most that one machine has."""
        return max((resources(node).get(resource, 0) for node in self.nodes), default=0)

    @property
    def text(self) -> str:
        """For messages: `the cluster (2 machines: 64 CPUs, 8 GPUs)`."""
        kinds = [f"{self.total(kind):g} {kind}{'s' * (self.total(kind) != 1)}" for kind in ("CPU", "GPU", "TPU")]
        had = ", ".join(kind for kind in kinds if not kind.startswith("0 "))
        if not self.is_cluster:
            return f"this machine ({had})"
        return f"the cluster ({len(self.nodes)} machine{'s' * (len(self.nodes) != 1)}: {had})"


def resources(node: Node) -> Mapping[str, float]:
    return node["Resources"]


def device_names(machines: Machines, resource: str) -> list[str]:
    """What Ray calls the accelerators of the machines that have some, each once: H100, TPU-V4."""
    having = [resources(node) for node in machines.nodes if resources(node).get(resource, 0) > 0]
    names = [name.removeprefix(_TYPE) for had in having for name in had if name.startswith(_TYPE)]
    return list(dict.fromkeys(names))


def see_machines() -> Machines:
    """Of the cluster that a job would join; where there is none, of this machine. Starts nothing.

    Raises ValueError where the machine remembers a cluster that is dead.
    """
    if not _has_cluster():
        return this_machine()
    join_ray()
    return cluster_machines()


def cluster_machines() -> Machines:
    """Of the cluster that this process has joined."""
    import ray
    from ray._private.state import state

    untyped: Any = ray
    growing: Mapping[str, float] | None = state.get_max_resources_from_cluster_config()
    return Machines(tuple(node for node in untyped.nodes() if node["Alive"]), at_most=growing)


def this_machine() -> Machines:
    """As if Ray had been started on it."""
    found = find_hardware()
    had: dict[str, float] = {"CPU": found.cpus}
    if found.gpus:
        had |= {"GPU": found.gpus, **_type_of("GPU")}
    if found.tpu_chips:
        had |= {"TPU": found.tpu_chips, **_type_of("TPU")}
    return Machines(({"Alive": True, "Resources": had, "Labels": {}},), is_cluster=False)


def _has_cluster() -> bool:
    from ray._private.utils import read_ray_address

    named = os.environ.get("RAY_ADDRESS")
    return named != "local" if named is not None else bool(read_ray_address())


def _type_of(resource: str) -> dict[str, float]:
    from ray._private.accelerators import get_accelerator_manager_for_resource

    manager: Any = get_accelerator_manager_for_resource(resource)
    name = manager.get_current_node_accelerator_type() if manager else None
    return {f"{_TYPE}{name}": 1.0} if name else {}
