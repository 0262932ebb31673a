"""Whether a machine of this run is about to be taken away, as far as this worker has heard."""

from __future__ import annotations

from collections.abc import Callable

from ray.train.v2._internal.execution.context import get_train_context

Heard = Callable[[], frozenset[str]]
"""The ids of the Ray nodes that host workers of this run and that will end."""


def heard_of() -> frozenset[str]:
    """What Ray Train's watcher has told this worker by now; nothing where no watcher runs.

    `ray.train.get_preemption_info` tells the same, but waits for all workers each time it is asked (2 ms with two on a machine).
    """
    info = get_train_context().preemption_context.preemption_info
    return frozenset(info.preempted_node_to_ranks) if info else frozenset()


class Preemption:
    """Asks for one checkpoint per notice. Workers hear of it one shortly after the other and need not agree: `Checkpoints.is_due`
    does that for them.

    After the checkpoint the worker must train on: when the notice is over, Ray Train starts the workers again, and one that had
    returned or raised would have finished or failed.
    """

    def __init__(self, heard: Heard = heard_of) -> None:
        self._heard = heard
        self._saved: frozenset[str] = frozenset()

    @property
    def is_announced(self) -> bool:
        """Whether the workers will be started again, for a machine has been given notice."""
        return bool(self._heard())

    @property
    def is_near(self) -> bool:
        """Whether a checkpoint is wanted now: there is a notice, and none was saved since."""
        return not self._heard() <= self._saved

    def note_saved(self) -> None:
        """A checkpoint is about to be saved, for whatever reason; it serves for all notices up to here."""
        self._saved = self._heard()
