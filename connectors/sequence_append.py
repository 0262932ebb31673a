"""`sequence_append`: every encoder's tokens one after another (a baseline of Shi et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from connectors.contract import Connector, GridShape, Visual
from connectors.encoder_mlps import EncoderMlps
from connectors.padding import ImageSize
from connectors.settings.sequence_append import SequenceAppendSettings


class SequenceAppendConnector(Connector):
    """A two-layer MLP per encoder, token sequences appended in the encoders' order (Shi et al. 2024, fusion baselines).

    `grids[i]: [images, side_i * side_i, d_i]` -> `tokens: [images, E * settings.queries, H]`, for E encoders and the
    language model's width H. Parameters: Σ ((d_i + 1) H + (H + 1) H).
    """

    def __init__(self, grids: Sequence[GridShape], llm_width: int, settings: SequenceAppendSettings) -> None:
        super().__init__()
        self.queries = len(grids) * settings.queries
        self.project = EncoderMlps(grids, llm_width, settings.queries)

    def forward(
        self, grids: Sequence[Tensor], text: Tensor | None = None, sizes: Sequence[ImageSize] | None = None
    ) -> Visual:
        return Visual(self.project(grids).flatten(1, 2))
