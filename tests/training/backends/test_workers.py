"""What Ray Train is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from opabinia.training.backends.choose import Chosen, Slice
from opabinia.training.backends.workers import backend_config, scaling_config
from opabinia.training.backends.xla_workers import XlaConfig, XlaWorkers

V4 = Slice("2x2x2", "TPU-V4")
"""Two hosts of four chips."""


def test_a_cpu_worker_reserves_its_cpus_and_a_gpu_worker_one_gpu_too() -> None:
    cpu = scaling_config(Chosen("cpu"), 3, 0.5)
    assert (cpu.num_workers, cpu.use_gpu, cpu.use_tpu, cpu.resources_per_worker) == (3, False, False, {"CPU": 0.5})
    cuda = scaling_config(Chosen("cuda"), 8, 4)
    assert (cuda.num_workers, cuda.use_gpu, cuda.resources_per_worker) == (8, True, {"CPU": 4, "GPU": 1})


def test_a_worker_drives_a_tpu_host_through_xla_and_a_chip_through_torchs_own_device() -> None:
    xla = scaling_config(Chosen("xla", V4), 2, 4)
    assert (xla.use_tpu, xla.topology, xla.accelerator_type) == (True, *V4)
    assert xla.resources_per_worker == {"CPU": 4, "TPU": 4}
    tpu = scaling_config(Chosen("tpu", V4), 8, 4)
    assert (tpu.num_workers, tpu.resources_per_worker) == (8, {"CPU": 4, "TPU": 1})


@pytest.mark.parametrize(
    ("chosen", "count", "nearest"),
    [(Chosen("xla", V4), 1, 2), (Chosen("xla", V4), 5, 4), (Chosen("tpu", V4), 12, 16), (Chosen("tpu", V4), 2, 8)],
)
def test_workers_fill_whole_slices_or_the_nearest_number_that_does_is_named(
    chosen: Chosen, count: int, nearest: int
) -> None:
    with pytest.raises(ValueError, match=rf"workers\.count: {count} do not fill slices of 2x2x2.*; use {nearest}"):
        scaling_config(chosen, count, 1)


def test_each_hardware_has_its_process_group() -> None:
    from ray.train.torch import TorchConfig

    for chosen, group in ((Chosen("cpu"), "gloo"), (Chosen("cuda"), "nccl"), (Chosen("tpu", V4), "tpu_dist")):
        config = backend_config(chosen, 2)
        assert isinstance(config, TorchConfig)
        assert config.backend == group
    assert isinstance(backend_config(Chosen("xla", V4), 2), XlaConfig)
    assert XlaConfig().backend_cls is XlaWorkers


def test_one_worker_on_a_cpu_needs_no_torch_to_start() -> None:
    code = (
        "import sys; from opabinia.training.backends.choose import Chosen, choose;"
        "from opabinia.training.backends.config import HardwareConfig;"
        "from opabinia.training.backends.workers import backend_config, scaling_config;"
        "chosen = choose(HardwareConfig(), []); scaling_config(chosen, 1, 1); backend_config(chosen, 1);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
