"""Ray Train's trainer, with our answers to how many workers a run goes on with, and what an error is charged to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from ray.train import FailureConfig, Result, ScalingConfig
from ray.train.v2._internal.execution.callback import WorkerGroupCallback
from ray.train.v2._internal.execution.failure_handling import DefaultFailurePolicy, FailureDecision
from ray.train.v2._internal.execution.scaling_policy import ElasticScalingPolicy
from ray.train.v2._internal.execution.worker_group import WorkerGroupPollStatus
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.train.v2.api.exceptions import PreemptionError, TrainingFailedError, WorkerGroupError
from ray.train.v2.api.preemption import PreemptionInfo

from opabinia.training.safeguards.lasting import LastingError


class Trainer(DataParallelTrainer):
    """`counts`: the numbers of workers that share each batch equally, of those that the scaling configuration allows."""

    def __init__(self, *arguments: Any, counts: Sequence[int], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._counts = tuple(counts)

    def _initialize_and_run_controller(self, **parts: Any) -> Result:
        parts["callbacks"] = [*parts["callbacks"], Noticed()]
        parts["failure_policy"] = Failures(self.run_config.failure_config or FailureConfig())
        if self.scaling_config.elasticity_enabled:
            parts["scaling_policy"] = Sharing(self.scaling_config, self._counts)
        return super()._initialize_and_run_controller(**parts)


class Failures(DefaultFailurePolicy):
    """Ray Train's own budgets, none of which is used up on an error that lasts."""

    def make_decision(self, training_failed_error: TrainingFailedError) -> FailureDecision:
        if isinstance(training_failed_error, WorkerGroupError) and _one_lasts(training_failed_error.worker_failures):
            return FailureDecision.RAISE
        return super().make_decision(training_failed_error)


class Noticed(WorkerGroupCallback):
    """A machine whose notice was heard may end before its time: what then fails, fails because of it.

    Ray Train sees that only where the worker on that machine is known to be dead before those that miss it fail.
    """

    def __init__(self) -> None:
        self._notice: PreemptionInfo | None = None

    def after_worker_group_start(self, worker_group: Any) -> None:
        self._notice = None

    def after_worker_group_poll_status(self, worker_group_status: WorkerGroupPollStatus) -> None:
        """Raises PreemptionError, which Ray Train takes for what happened."""
        self._notice = worker_group_status.get_preemption_info() or self._notice
        errors = worker_group_status.errors
        if self._notice and errors and not _one_lasts(errors):
            raise PreemptionError(self._notice)


class Sharing(ElasticScalingPolicy):
    """As many workers as there is room for, rounded down to a number that shares each batch equally."""

    def __init__(self, scaling_config: ScalingConfig, counts: Sequence[int]) -> None:
        super().__init__(scaling_config)
        self._counts = counts

    def _count_possible_workers(self, reserved_resources: dict[str, dict[str, float]]) -> int:
        staying = staying_nodes()
        there = {node: resources for node, resources in reserved_resources.items() if node in staying}
        possible = super()._count_possible_workers(there)
        # Where not even the fewest have room, Ray Train waits.
        return max((count for count in self._counts if count <= possible), default=0)


def _one_lasts(errors: Mapping[int, Exception]) -> bool:
    return any(isinstance(error, LastingError) for error in errors.values())


def staying_nodes() -> set[str]:
    """The ids of the nodes that live and will live; Ray Train still counts those that drain, and for a while those that ended."""
    ray: Any = import_module("ray")
    draining = ray._private.state.state.get_draining_nodes()
    return {node["NodeID"] for node in ray.nodes() if node["Alive"] and node["NodeID"] not in draining}
