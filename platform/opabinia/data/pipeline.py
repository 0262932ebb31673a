"""Ray Data as this project uses it: small items expanded by light tasks, in order, quietly, with bounded memory."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import ray
import ray.data
from ray.data import ExecutionOptions, TaskPoolStrategy
from ray.data._internal.execution.execution_callback import ExecutionCallback

from opabinia.data.arrow import ArrowTable

if TYPE_CHECKING:
    from ray.data._internal.execution.streaming_executor import StreamingExecutor

# Small enough that a stream gets its share of a machine whose processors training has reserved.
TASK_CPUS = 0.1
# Sixteen pictures for two encoders in one block: cut into several, each is waited for, and two tasks left a quarter of two cores idle
# (measured).
BLOCK_BYTES = 32 * 2**20
# Ray Data's loop runs in the consumer's own process and does not rest while it has nothing to do: beside a training loop on one
# core it took as much of the interpreter as training itself (measured).
_PAUSE_S = 0.02

UntypedDataset: TypeAlias = Any
"""A ray.data.Dataset, whose methods are typed only in part."""


class QuietExecution(ExecutionCallback):
    """Keeps Ray Data from taking the terminal and the processor from whichever process runs the data set."""

    def __init__(self) -> None:
        logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)
        for handler in logging.getLogger("ray.data").handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setLevel(logging.WARNING)

    def on_execution_step(self, executor: StreamingExecutor) -> None:
        time.sleep(_PAUSE_S)


def execution_options() -> ExecutionOptions:
    """Options that keep rows in order; Ray Train replaces a data set's own, so give it these too."""
    return ExecutionOptions(preserve_order=True, verbose_progress=False)


def cluster_cpus() -> int:
    """All processors of the cluster, taken or not; at least 1."""
    untyped: Any = ray
    return max(1, int(untyped.cluster_resources().get("CPU", 1)))


def free_cpus() -> int:
    """The processors of the cluster that nothing holds at the moment; may be 0."""
    untyped: Any = ray
    return int(untyped.available_resources().get("CPU", 0))


def one_item_a_block(items: Sequence[Mapping[str, Any]]) -> UntypedDataset:
    """The items as a data set of which every task takes one."""
    data: Any = ray.data
    return data.from_items(list(items), override_num_blocks=len(items))


def ordered_dataset(
    items: Sequence[Mapping[str, Any]], expand: Callable[[Mapping[str, Any]], Iterator[ArrowTable]], *, at_once: int
) -> ray.data.Dataset:
    """Expand each item to tables in a task of its own and string them together in the order of the items.

    At most `at_once` tasks run side by side.
    """

    def expand_block(block: ArrowTable) -> Iterator[ArrowTable]:
        for item in block.to_pylist():
            yield from expand(item)

    dataset = one_item_a_block(items).map_batches(
        expand_block,
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=TASK_CPUS,
        compute=TaskPoolStrategy(min(at_once, len(items))),
    )
    configure_context(dataset)
    return dataset


def configure_context(dataset: ray.data.Dataset) -> None:
    """Set how this data set, and no other, is executed."""
    context = dataset.context
    context.execution_options = execution_options()
    context.target_max_block_size = BLOCK_BYTES
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.enable_auto_log_stats = False
    context.custom_execution_callback_classes = [QuietExecution]
