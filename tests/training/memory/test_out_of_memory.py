"""What is said when memory runs out."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from opabinia.cluster.resources import usable_memory_bytes
from opabinia.training.memory.estimate import MemoryFacts, estimate_memory
from opabinia.training.memory.out_of_memory import advise, advising
from opabinia.training.memory.shortage import Shortage, find_shortage

GIB = 2**30
FACTS = MemoryFacts(
    stage="tune",
    device="cuda:0",
    workers=4,
    sharded=False,
    precision="float32",
    batch=48,
    rows=12,
    tokens=1024,
    weights=12 * GIB,
    trained=8 * GIB,
    encoders=2 * GIB,
    layers=32,
    width=2048,
    inner_width=8192,
    vocabulary=128_000,
    language_model_learns=True,
    layers_twice=0,
    cached=1024 * 2**20,
    data_tasks=2,
)
CUDA = (
    "CUDA out of memory. Tried to allocate 22.50 GiB. GPU 0 has a total capacity of 80.00 GiB of which 12.75 GiB is free. "
    "Including non-PyTorch memory, this process has 67.25 GiB memory in use. Of the allocated memory 64.00 GiB is allocated by "
    "PyTorch, and 2.75 GiB is reserved by PyTorch but unallocated. If reserved but unallocated memory is large try setting "
    "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation.  See documentation for Memory Management  "
    "(https://docs.pytorch.org/docs/stable/notes/cuda.html#optimizing-memory-usage-with-pytorch-cuda-alloc-conf)"
)


def fails(act: Callable[[], object]) -> BaseException:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        act()
    return caught.value


def too_large_a_tensor() -> object:
    return torch.empty(2**60, dtype=torch.uint8)


def advice(error: BaseException, facts: MemoryFacts = FACTS) -> str:
    text = advise(error, facts)
    assert text is not None
    assert "\n" not in text
    return text


def test_a_gpu_that_is_full_is_told_with_all_numbers() -> None:
    assert advice(torch.cuda.OutOfMemoryError(CUDA), replace(FACTS, rows=4, layers=8)) == (
        "stages: tune ran out of memory on cuda:0 (22.5 GiB more asked for, 80.0 GiB there, 12.8 GiB free); by estimate 14.0 GiB "
        "are weights, 8.0 GiB gradients, 16.0 GiB the optimiser's, 6.5 GiB activations of 4 rows of 1024 tokens, and 5.9 GiB "
        "logits; set, in this order until it fits, each saving so much by itself: per_device_batch to 2 instead of 4 (saves 6.2 "
        "GiB), activation_checkpointing.decoder_layers to 1 (saves 5.4 GiB), workers.sharding to sharded over the 4 workers (saves "
        "27.0 GiB), cache.enabled to true (saves 2.0 GiB)"
    )


def test_what_the_settings_save_is_what_the_estimate_loses() -> None:
    text = advice(torch.cuda.OutOfMemoryError(CUDA))
    whole = estimate_memory(FACTS).total
    halved = estimate_memory(replace(FACTS, rows=6)).total
    assert f"per_device_batch to 6 instead of 12 (saves {(whole - halved) / GIB:.1f} GiB)" in text
    assert "workers.precision to bfloat16 (saves" in text


def test_a_batch_is_only_cut_into_whole_parts() -> None:
    text = advice(torch.cuda.OutOfMemoryError(CUDA), replace(FACTS, batch=36, rows=9))
    assert "per_device_batch to 3 instead of 9" in text


def test_one_worker_is_told_to_take_two_where_they_can_share_the_batch() -> None:
    alone = replace(FACTS, workers=1, batch=12)
    assert "workers.count to 2 with workers.sharding: sharded" in advice(torch.cuda.OutOfMemoryError(CUDA), alone)
    odd = replace(alone, batch=9, rows=9)
    assert "workers.count" not in advice(torch.cuda.OutOfMemoryError(CUDA), odd)


def test_what_is_done_already_is_not_advised() -> None:
    done = replace(FACTS, workers=1, batch=1, rows=1, layers_twice=32, encoders=0, precision="bfloat16", sharded=True)
    text = advice(torch.cuda.OutOfMemoryError(CUDA), done)
    assert text.endswith("no setting saves anything more, so take shorter rows, a smaller model or larger devices")


def test_other_processes_and_fragments_are_told_before_settings() -> None:
    shared = CUDA.replace("64.00 GiB is", "20.00 GiB is").replace("Tried to allocate 22.50", "Tried to allocate 1.50")
    text = advice(torch.cuda.OutOfMemoryError(shared))
    others = text.index("44.5 GiB are held by others than torch in this process")
    fragments = text.index("2.8 GiB lie in fragments, so set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True")
    assert others < fragments < text.index("per_device_batch")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (CUDA, Shortage("device", 45 * GIB // 2, 80 * GIB, 51 * GIB // 4, 11 * GIB // 4, GIB // 2)),
        ("CUDA error: out of memory", Shortage("device")),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", Shortage("device")),
        (
            "Bad StatusOr access: RESOURCE_EXHAUSTED: Error allocating device buffer: Attempting to allocate 196.00M. That was not "
            "possible. There are 134.50M free.; (1x0x0_HBM0)",
            Shortage("device", 196 * 2**20, None, 269 * 2**19),
        ),
        (
            "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory space hbm. Used 21.75G of 15.50G "
            "hbm. Exceeded hbm capacity by 6.25G.",
            Shortage("device", 25 * GIB // 4, 31 * GIB // 2),
        ),
        (
            "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 137438953472 bytes.",
            Shortage("device", 128 * GIB),
        ),
        (
            "MPS backend out of memory (MPS allocated: 5.50 GiB, other allocations: 1.25 GiB, max allowed: 6.75 GiB). Tried to "
            "allocate 768.00 MiB on private pool. Use PYTORCH_MPS_HIGH_WATERMARK_RATIO=0.0 to disable upper limit",
            Shortage("device", 768 * 2**20, 27 * GIB // 4, 0, None, 5 * GIB // 4),
        ),
    ],
)
def test_every_allocator_is_understood(text: str, found: Shortage) -> None:
    assert find_shortage(RuntimeError(text)) == found


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (4x3 and 4x3)"),
        RuntimeError("RESOURCE_EXHAUSTED: Received message larger than max (5 vs. 4)"),
        RuntimeError("CUDA error: device-side assert triggered"),
        ValueError("stages: tune has data for 3 of its 4 steps; give it more samples"),
        KeyError("out of memory"),
    ],
)
def test_other_errors_are_left_alone(error: Exception) -> None:
    assert advise(error, FACTS) is None
    with pytest.raises(type(error)) as caught, advising(lambda: FACTS):
        raise error
    assert caught.value is error


def test_a_cpu_that_cannot_allocate_says_what_it_has() -> None:
    text = advice(fails(too_large_a_tensor), replace(FACTS, device="cpu"))
    there = usable_memory_bytes() / GIB
    assert text.startswith(
        f"stages: tune ran out of memory on cpu (1073741824.0 GiB more asked for, {there:.1f} GiB there); by"
    )
    assert "per_device_batch to 6 instead of 12" in text


def test_a_host_that_is_full_beside_its_gpu_is_told_of_what_is_held_there() -> None:
    text = advice(fails(lambda: np.empty(2**60, dtype=np.uint8)))
    assert text.startswith("stages: tune ran out of memory on the host of cuda:0 (1073741824.0 GiB more asked for,")
    assert text.endswith(
        "set workers.data_tasks to 1 instead of 2, or cache.memory_mib to 512 (saves 512 MiB for each worker)"
    )


def test_an_error_with_advice_comes_from_the_one_that_it_explains() -> None:
    with (
        pytest.raises(ValueError, match="set, in this order") as caught,
        advising(lambda: replace(FACTS, device="cpu")),
    ):
        too_large_a_tensor()
    assert "DefaultCPUAllocator" in str(caught.value.__cause__)


def test_a_shortage_behind_another_error_is_found() -> None:
    try:
        try:
            too_large_a_tensor()
        except RuntimeError as error:
            raise RuntimeError("backend='inductor' raised") from error
    except RuntimeError as wrapped:
        assert find_shortage(wrapped) == Shortage("host", 2**60)


def test_python_without_memory_is_advised_too() -> None:
    """In a process of its own, which may have 256 MiB of addresses more than it has now."""
    script = f"""
import resource
from pathlib import Path
from opabinia.training.memory.estimate import MemoryFacts
from opabinia.training.memory.out_of_memory import advising
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 2**28
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
with advising(lambda: {FACTS!r}):
    bytearray(2**30)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "MemoryError" in ended.stderr
    assert re.search(
        r"ValueError: stages: tune ran out of memory on the host of cuda:0 \(\S+ GiB there\); set", ended.stderr
    )
