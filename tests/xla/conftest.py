"""PyTorch/XLA on the CPU: two virtual devices in this process, started before any test makes a tensor. Run by `make test-xla`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

# torch_xla needs an environment of its own, which the rest of the suite does not run in.
collect_ignore_glob = [] if find_spec("torch_xla") else ["test_*.py"]

os.environ["PJRT_DEVICE"] = "CPU"


@pytest.fixture(scope="session", autouse=True)
def runtime() -> None:
    from opabinia.training.backends.xla_workers import Place, start_runtime

    start_runtime(Place(rank=0, count=1, chips=2, address="", port=0), {})


@pytest.fixture(scope="session")
def tpu_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Ray of a head and two TPU slices, of which nothing but the chips is pretended."""
    from tests.xla.slices import cluster_of_slices

    with cluster_of_slices("slice-a", "slice-b"):
        yield
