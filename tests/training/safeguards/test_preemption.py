"""When a worker asks for a checkpoint because a machine is about to be taken away."""

from __future__ import annotations

from opabinia.training.safeguards.preemption import Preemption


class Watcher:
    """What Ray Train's watcher would have told a worker."""

    def __init__(self) -> None:
        self.nodes = frozenset[str]()

    def heard(self) -> frozenset[str]:
        return self.nodes


def test_each_notice_asks_for_one_checkpoint() -> None:
    watcher = Watcher()
    preemption = Preemption(watcher.heard)
    assert not preemption.is_near
    watcher.nodes = frozenset({"a"})
    assert preemption.is_near
    preemption.note_saved()
    assert not preemption.is_near
    watcher.nodes = frozenset({"a", "b"})
    assert preemption.is_near
    preemption.note_saved()
    assert not preemption.is_near


def test_a_checkpoint_before_a_notice_does_not_serve_for_it() -> None:
    watcher = Watcher()
    preemption = Preemption(watcher.heard)
    preemption.note_saved()
    watcher.nodes = frozenset({"a"})
    assert preemption.is_near


def test_a_worker_that_heard_late_is_served_by_the_checkpoint_that_another_asked_for() -> None:
    watcher = Watcher()
    preemption = Preemption(watcher.heard)
    watcher.nodes = frozenset({"a"})
    preemption.note_saved()
    assert not preemption.is_near


def test_a_notice_stays_known_after_the_checkpoint() -> None:
    watcher = Watcher()
    preemption = Preemption(watcher.heard)
    assert not preemption.is_announced
    watcher.nodes = frozenset({"a"})
    preemption.note_saved()
    assert preemption.is_announced
