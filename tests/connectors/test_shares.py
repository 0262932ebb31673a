"""How much encoders count: by weights, by tokens, and recorded while a connector works, against computations by hand."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from connectors.contract import Connector, GridShape, VisualContext
from connectors.grids import resize_grid
from connectors.interpolation import align_grid
from connectors.recorded_shares import recorded_shares
from connectors.registry import build_connector
from connectors.settings.additive import AdditiveSettings
from connectors.settings.base import ConnectorSettings
from connectors.settings.channel_concat import ChannelConcatSettings
from connectors.settings.ldpv2 import Ldpv2Settings
from connectors.settings.linear import LinearSettings
from connectors.settings.mlp import MlpSettings
from connectors.settings.routed_sum import RoutedSumSettings
from connectors.settings.sequence_append import SequenceAppendSettings
from connectors.sva import SvaConnector
from connectors.sva_block import SvaBlock
from connectors.weight_share import weight_shares
from tests.connectors.test_sva import GRIDS, SIZES, build, features


def test_weight_shares_by_hand() -> None:
    """Two outputs; the first encoder has one channel, the second two. Two tokens of one picture, then a blank picture."""
    weight = torch.tensor([[3.0, 1.0, 0.0], [4.0, 0.0, 2.0]])
    first = torch.tensor([[[1.0], [7.0]], [[0.0], [0.0]]])
    second = torch.tensor([[[3.0, 0.0], [1.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]])
    # Squared norms of the columns: 25; 1 and 4. Mean squares of the channels: 25; 5 and 2.
    one, other = math.sqrt(25 * 25), math.sqrt(1 * 5 + 4 * 2)
    expected = torch.tensor([[one / (one + other), other / (one + other)], [0.5, 0.5]])
    torch.testing.assert_close(weight_shares(weight, [first, second]), expected)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.floats(0.1, 10), st.integers(0, 99))
def test_weight_shares_sum_to_one_and_heed_no_common_scale(widths: list[int], scale: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    parts = [torch.randn(3, 4, width, generator=generator) for width in widths]
    weight = torch.randn(6, sum(widths), generator=generator)
    shares = weight_shares(weight, parts)
    torch.testing.assert_close(shares.sum(1), torch.ones(3))
    torch.testing.assert_close(weight_shares(scale * weight, [scale * part for part in parts]), shares)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (LinearSettings(queries=16), "layer.weight"),
        (MlpSettings(queries=16), "layers.0.weight"),
        (ChannelConcatSettings(queries=16), "layers.0.weight"),
        (Ldpv2Settings(queries=16), "layers.0.weight"),
    ],
)
def test_connectors_that_concatenate_share_by_what_their_first_layer_reads(
    settings: ConnectorSettings, name: str
) -> None:
    connector, grids = build_connector(settings, GRIDS, 24), features()
    fit, side = (align_grid, 4) if settings.type == "channel_concat" else (resize_grid, 4)
    fit, side = (resize_grid, 12) if settings.type == "ldpv2" else (fit, side)
    columns = connector.state_dict()[name].norm(dim=0)
    reach: list[Tensor] = []
    for grid, column in zip(grids, columns.split([grid.width for grid in GRIDS]), strict=True):
        level = fit(grid, side).square().mean(1).sqrt()
        reach.append((column * level).norm(dim=1))
    expected = torch.stack([one / sum(reach) for one in reach], dim=1)
    shares = connector.shares(grids)
    assert shares is not None
    torch.testing.assert_close(shares, expected)
    assert connector.share_kind == "weights"


def test_an_encoder_that_adds_tokens_three_times_as_long_has_three_times_the_share() -> None:
    grids = (GridShape(4, 6), GridShape(4, 6))
    connector = build_connector(AdditiveSettings(queries=16), grids, 8)
    with torch.no_grad():
        first, second = (cast("torch.nn.Sequential", mlp) for mlp in connector.get_submodule("project.mlps").children())
        second.load_state_dict(first.state_dict())
        for parameter in second[2].parameters():
            parameter.mul_(3)
    (same,) = features(grids[:1])
    shares = connector.shares([same, same])
    assert shares is not None
    torch.testing.assert_close(shares, torch.tensor([[0.25, 0.75]] * 2))


def plain_attention(block: SvaBlock, query: Tensor, context: VisualContext, heads: int) -> Tensor:
    """Attention on each encoder of every cell by itself, keys formed and heads one by one: [cells, encoders]"""
    found = torch.zeros(len(query), len(context.windows))
    for cell, q in enumerate(query):
        asked = block.to_query(block.input(torch.cat([q, block.context(context.summary[context.image_of[cell]])])))
        keys, owner = [], []
        for index, window in enumerate(context.windows):
            placed = window[cell]
            if str(index) in block.positions:
                placed = placed + block.positions.get_parameter(str(index))
            keys.append(block.to_key[index](placed))
            owner += [index] * len(placed)
        scores = [
            key @ a / a.numel() ** 0.5
            for key, a in zip(torch.cat(keys).chunk(heads, -1), asked.chunk(heads, -1), strict=True)
        ]
        if context.seen is not None:
            scores = [score.masked_fill(~context.seen[cell], -torch.inf) for score in scores]
        for weight, whose in zip(torch.stack([score.softmax(0) for score in scores]).mean(0), owner, strict=True):
            found[cell, whose] += weight
    return found


@pytest.mark.parametrize("sizes", [None, SIZES], ids=["square", "padded"])
@torch.no_grad()
def test_attention_is_recorded_of_every_layer_before_and_inside_the_language_model(
    sizes: list[tuple[int, int]] | None,
) -> None:
    connector = build(groups=(16, 4), depth=2)
    hidden = torch.randn(32, 24, generator=torch.Generator().manual_seed(3))
    with recorded_shares(connector) as recorded:
        visual = connector(features(), sizes=sizes)
        assert visual.context is not None
        connector.reread(0, hidden, visual.context)
        connector.reread(1, hidden + 1, visual.context)
    before = [f"group {group} layer {layer}" for group in (0, 1) for layer in (0, 1)]
    assert list(recorded) == [*before, "LLM layer 0", "LLM layer 1"]
    for layer, query in ((0, hidden), (1, hidden + 1)):
        block = cast("SvaBlock", connector.inner[str(layer)])
        cells = plain_attention(block, query, visual.context, heads=4)
        (found,) = recorded[f"LLM layer {layer}"]
        torch.testing.assert_close(found, cells.view(2, 16, 3).mean(1))
    assert all(torch.allclose(each.sum(1), torch.ones(2)) for (each,) in recorded.values())
    if sizes is None:
        first = torch.stack([recorded[place][0] for place in before]).mean(0)
        torch.testing.assert_close(first, connector.shares(features()))


def test_after_recording_nothing_is_left_on_the_connector() -> None:
    connector = build()
    with recorded_shares(connector):
        pass
    assert isinstance(connector, SvaConnector)
    assert not any(module._forward_hooks for module in connector.modules())


def test_a_router_is_recorded_with_the_text_that_it_heard() -> None:
    connector: Connector = build_connector(RoutedSumSettings(queries=16), GRIDS, 24)
    texts = [torch.randn(2, 24, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    with recorded_shares(connector) as recorded:
        connector(features(), texts[0])
        connector(features(), text=texts[1])
    expected = [connector.shares(features(), text) for text in texts]
    assert torch.equal(torch.stack(recorded["connector"]), torch.stack([one for one in expected if one is not None]))
    assert not torch.equal(*recorded["connector"])


def test_a_connector_that_keeps_encoders_apart_records_nothing() -> None:
    connector = build_connector(SequenceAppendSettings(queries=16), GRIDS, 24)
    with recorded_shares(connector) as recorded:
        connector(features())
    assert not recorded
    assert connector.share_kind == ""
