"""How many workers a run goes on with, and which errors end it at once."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.v2._internal.execution.failure_handling import FailureDecision
from ray.train.v2._internal.execution.worker_group.poll import WorkerGroupPollStatus, WorkerStatus
from ray.train.v2.api.exceptions import PreemptionError, WorkerGroupError
from ray.train.v2.api.preemption import PreemptionInfo

from opabinia.training import trainer
from opabinia.training.safeguards.lasting import LastingError
from opabinia.training.trainer import Failures, Noticed, Sharing, Trainer

NODES = {"a": {"CPU": 2.0}, "b": {"CPU": 1.0}, "c": {"CPU": 3.0}}


def possible(counts: tuple[int, ...], staying: set[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(trainer, "staying_nodes", lambda: staying)
    policy = Sharing(ScalingConfig(num_workers=(counts[0], counts[-1]), resources_per_worker={"CPU": 1}), counts)
    return policy._count_possible_workers(NODES)


@pytest.mark.parametrize(
    ("staying", "expected"), [("abc", 6), ("ac", 4), ("bc", 4), ("ab", 3), ("b", 1), ("c", 3), ("", 0)]
)
def test_as_many_workers_as_there_is_room_for_that_share_batches(
    staying: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert possible((1, 2, 3, 4, 6), set(staying), monkeypatch) == expected


def test_never_more_workers_than_asked_for_nor_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert possible((2, 4), set("abc"), monkeypatch) == 4
    assert possible((4, 6), set("ab"), monkeypatch) == 0


def failed(*errors: Exception) -> WorkerGroupError:
    return WorkerGroupError("some workers failed", dict(enumerate(errors)))


def decisions(errors: Mapping[int, WorkerGroupError], failures: int) -> list[FailureDecision]:
    policy = Failures(FailureConfig(max_failures=failures))
    return [policy.make_decision(error) for error in errors.values()]


def test_an_error_that_lasts_ends_the_run_whatever_its_budget() -> None:
    lasting = failed(RuntimeError("connection closed by peer"), LastingError("stages: align stopped at step 7"))
    assert decisions({0: lasting}, failures=-1) == [FailureDecision.RAISE]


def test_other_errors_use_up_the_budget() -> None:
    others = {place: failed(ValueError("the server kept failing")) for place in range(3)}
    assert decisions(others, failures=2) == [FailureDecision.RETRY, FailureDecision.RETRY, FailureDecision.RAISE]


NOTICE = PreemptionInfo(deadline_ms=1, preempted_node_to_ranks={"a": [1]})


def status(*workers: WorkerStatus) -> WorkerGroupPollStatus:
    return WorkerGroupPollStatus(dict(enumerate(workers)))


def test_a_failure_after_a_notice_is_the_preemption_of_that_machine() -> None:
    noticed = Noticed()
    noticed.after_worker_group_poll_status(status(WorkerStatus(running=True), WorkerStatus(running=True)))
    noticed.after_worker_group_poll_status(status(WorkerStatus(running=True, preemption_info=NOTICE)))
    lost = RuntimeError("connection closed by peer")
    # The worker that ended answers no more; the other one may, or the controller must remember.
    for heard in (NOTICE, None):
        failed = WorkerStatus(running=False, error=lost, preemption_info=heard)
        with pytest.raises(PreemptionError) as raised:
            noticed.after_worker_group_poll_status(status(failed, WorkerStatus(running=True)))
        assert raised.value.preemption_info == NOTICE
    assert Failures(FailureConfig(max_failures=0)).make_decision(raised.value) is FailureDecision.RETRY


def test_a_failure_without_a_notice_or_one_that_lasts_is_none() -> None:
    noticed = Noticed()
    noticed.after_worker_group_poll_status(status(WorkerStatus(running=False, error=RuntimeError("lost"))))
    lasting = WorkerStatus(running=False, error=LastingError("stages: align stopped"), preemption_info=NOTICE)
    noticed.after_worker_group_poll_status(status(lasting))


def test_a_notice_is_forgotten_when_the_workers_have_begun_anew() -> None:
    noticed = Noticed()
    noticed.after_worker_group_poll_status(status(WorkerStatus(running=True, preemption_info=NOTICE)))
    noticed.after_worker_group_start(None)
    noticed.after_worker_group_poll_status(status(WorkerStatus(running=False, error=RuntimeError("lost"))))


def test_what_is_sent_to_the_process_that_decides_arrives_there() -> None:
    """Ray Train's controller is a process of its own, as are workers."""
    policy = pickle.loads(pickle.dumps(Failures(FailureConfig(max_failures=3))))
    error = pickle.loads(pickle.dumps(failed(LastingError("stages: align stopped"))))
    assert policy.make_decision(error) is FailureDecision.RAISE
    assert isinstance(error.worker_failures[0], ValueError)


def fail(settings: dict[str, Any]) -> None:
    """Run by Ray Train; leaves a note."""
    (Path(settings["notes"]) / uuid4().hex).touch()
    raise LastingError("it lasts") if settings["lasts"] else ValueError("it passes")


@pytest.mark.e2e
@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize(("lasts", "attempts", "said"), [(True, 1, "it lasts"), (False, 3, "it passes")])
def test_ray_train_tries_again_only_after_errors_that_may_pass(
    tmp_path: Path, lasts: bool, attempts: int, said: str
) -> None:
    (tmp_path / "notes").mkdir()
    trainer = Trainer(
        fail,
        train_loop_config={"notes": str(tmp_path / "notes"), "lasts": lasts},
        scaling_config=ScalingConfig(num_workers=1, resources_per_worker={"CPU": 0.1}),
        counts=(1,),
        run_config=RunConfig(name="run", storage_path=str(tmp_path), failure_config=FailureConfig(max_failures=2)),
    )
    with pytest.raises(WorkerGroupError, match=said):
        trainer.fit()
    assert len(list((tmp_path / "notes").iterdir())) == attempts
