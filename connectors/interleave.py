"""`interleave`: the encoders' tokens alternate cell by cell (interleaved mixture of features, Tong et al. 2024, MMVP)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from connectors.contract import Connector, GridShape, Visual
from connectors.encoder_mlps import EncoderMlps
from connectors.padding import ImageSize
from connectors.settings.interleave import InterleaveSettings


class InterleaveConnector(Connector):
    """A two-layer MLP per encoder, then all encoders' tokens of cell 0, of cell 1, ... (I-MoF, Tong et al. 2024, MMVP).

    `grids[i]: [images, side_i * side_i, d_i]` -> `tokens: [images, settings.queries * E, H]`, for E encoders and the
    language model's width H. Parameters: Σ ((d_i + 1) H + (H + 1) H).
    """

    def __init__(self, grids: Sequence[GridShape], llm_width: int, settings: InterleaveSettings) -> None:
        super().__init__()
        self.queries = len(grids) * settings.queries
        self.project = EncoderMlps(grids, llm_width, settings.queries)

    def forward(
        self, grids: Sequence[Tensor], text: Tensor | None = None, sizes: Sequence[ImageSize] | None = None
    ) -> Visual:
        return Visual(self.project(grids).transpose(1, 2).flatten(1, 2))
