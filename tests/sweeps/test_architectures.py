"""No trial goes on from the state of a trial of another architecture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from connectors.settings.base import ConnectorSettings
from connectors.settings.mlp import MlpSettings
from connectors.settings.sva import SvaSettings
from opabinia.models.learner import Learner
from opabinia.training.checkpointing.checkpoints import Checkpoints
from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.checkpointing.state import TrainingState
from tests.models.small import small_model

pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is disabled")


def state_of(connector: ConnectorSettings) -> TrainingState:
    learner = Learner(small_model(connector))
    optimiser = AdamW(learner.parameters())
    return TrainingState(learner, optimiser, LambdaLR(optimiser, lambda step: 1.0))


@pytest.mark.parametrize("other", [SvaSettings(depth=2), SvaSettings(width=64), MlpSettings()], ids=str)
def test_the_state_of_one_trial_is_refused_by_another(tmp_path: Path, other: ConnectorSettings) -> None:
    with Checkpoints(tmp_path, CheckpointConfig()) as checkpoints:
        checkpoints.save(state_of(SvaSettings()), 1, {})
        checkpoints.wait()
        latest = checkpoints.latest()
        assert latest is not None
        state = state_of(other)
        before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
        with pytest.raises(ValueError, match=r"step-00000001-.*open the model that was saved") as refused:
            checkpoints.load(latest, state)
    assert "\n" not in str(refused.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in state.model.state_dict().items())
