"""The model that is scored and reported while another, on hardware that one worker cannot call alone, is trained."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch

from opabinia.models.learner import Learner
from opabinia.training.backends.backend import Backend


@dataclass(frozen=True, slots=True)
class ScoredModel:
    """trained: as it was before it was wrapped. copy: of plain tensors, on the first worker's host, where it is needed."""

    trained: Learner
    backend: Backend
    copy: Learner | None

    def now(self) -> Learner:
        """With the weights of this moment; all workers must ask, and only what the first one gets is to be called."""
        if not self.backend.scores_copies:
            return self.trained
        self._fill()
        return self.trained if self.copy is None else self.copy.to(self.backend.scoring_device)

    def rest(self) -> None:
        """After scoring: give the device's memory back."""
        if self.copy is not None:
            self.copy.to("cpu")

    @torch.no_grad()
    def _fill(self) -> None:
        held = {} if self.copy is None else dict(self.copy.named_parameters()) | dict(self.copy.named_buffers())
        for name, tensor in [*self.trained.named_parameters(), *self.trained.named_buffers()]:
            whole = self.backend.whole(tensor)
            if name in held:
                held[name].copy_(whole)


def scored_model(learner: Learner, backend: Backend, rank: int) -> ScoredModel:
    """Call before the learner is placed or wrapped."""
    return ScoredModel(learner, backend, deepcopy(learner) if backend.scores_copies and rank == 0 else None)
