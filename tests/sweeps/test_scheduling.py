"""How an experiment says when weak trials are stopped or paused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from opabinia.sweeps.scheduling import SchedulerConfig
from opabinia.sweeps.space import SweepConfig

SWEEP: dict[str, Any] = {"pool": ["a", "b"], "connectors": [{"type": "sva"}]}


def test_what_names_no_type_is_asha_as_it_always_was() -> None:
    written = {"metric": "score", "mode": "max", "grace": 2, "reduction_factor": 2}
    found = SchedulerConfig.model_validate(written)
    assert found.type == "asha"
    assert found.model_dump(mode="json") == written, "experiments of before are the same text"
    assert SchedulerConfig.model_validate({**written, "type": "asha"}) == found


def test_hyperband_is_named() -> None:
    written = {"type": "hyperband", "metric": "score", "mode": "max", "grace": 1, "reduction_factor": 3}
    found = SchedulerConfig.model_validate(written)
    assert found.model_dump(mode="json") == written


@pytest.mark.parametrize("kind", ["pbt", "pb2", "population_based_training"])
def test_no_scheduler_copies_weights_between_architectures(kind: str) -> None:
    with pytest.raises(ValidationError) as refused:
        SweepConfig.model_validate(SWEEP | {"scheduler": {"type": kind}})
    (error,) = refused.value.errors()
    assert error["loc"] == ("scheduler", "type")
    assert f"{kind} copies weights from one trial to another" in error["msg"]
    assert "their architectures differ; use asha or hyperband" in error["msg"]
    assert "\n" not in error["msg"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"scheduler": {"type": "hyperband"}, "search": {"type": "tpe", "samples": 4}},
            "scheduler: hyperband deals trials to brackets before any is run",
        ),
        (
            {"scheduler": {"type": "hyperband"}, "search": {"type": "round_robin", "start": ["a"]}},
            "scheduler: round_robin compares trials that ran to their end",
        ),
        (
            {"baseline": "a.sva", "search": {"type": "tpe", "samples": 4}},
            "baseline: which trials tpe draws is not known",
        ),
    ],
)
def test_what_cannot_go_together_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SweepConfig.model_validate(SWEEP | changes)
