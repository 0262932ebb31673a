"""Ray nodes that look like the hosts of TPU slices: they are started with what Google's machines have in their environment."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.cluster_utils import Cluster

TOPOLOGY, ACCELERATOR_TYPE = "2x2x2", "TPU-V4"
HOSTS, CHIPS = 2, 4


@contextmanager
def cluster_of_slices(*names: str) -> Iterator[None]:
    """A head, and for each name the two hosts, of four chips each, of a v4 slice of 2x2x2 chips; Ray is connected to it."""
    # Sockets have short names, and a Ray that others started has its files elsewhere.
    folder = tempfile.mkdtemp(prefix="tpu", dir="/tmp")
    with _environment(RAY_TMPDIR=folder):
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        try:
            for name in names:
                for host in range(HOSTS):
                    _add_host(cluster, name, host)
            ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
            yield
        finally:
            ray.shutdown()
            cluster.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def _add_host(cluster: Cluster, name: str, host: int) -> None:
    generation = ACCELERATOR_TYPE.removeprefix("TPU-").lower()
    # The pod type counts cores, of which a v4 chip has two.
    pod = f"{generation}-{HOSTS * CHIPS * 2}"
    machine = {"TPU_NAME": name, "TPU_WORKER_ID": str(host), "TPU_ACCELERATOR_TYPE": pod, "TPU_TOPOLOGY": TOPOLOGY}
    with _environment(**machine):
        cluster.add_node(num_cpus=1, resources={"TPU": CHIPS})


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    yield
    os.environ.clear()
    os.environ.update(before)
