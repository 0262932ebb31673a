"""What holds for every connector that an experiment can name."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from pydantic import TypeAdapter

from connectors.contract import GridShape
from connectors.registry import CONNECTORS, build_connector, family
from connectors.settings.base import ConnectorSettings
from opabinia.models.connector_config import ConnectorConfig

NAMES = ["mlp3x_gelu" if name == "mlpNx_gelu" else name for name in CONNECTORS]
GRIDS = (GridShape(8, 6), GridShape(12, 5), GridShape(4, 7))


def named(name: str) -> ConnectorSettings:
    """As an experiment file names it."""
    return TypeAdapter[ConnectorSettings](ConnectorConfig).validate_python({"type": name})


@pytest.mark.parametrize("name", NAMES)
def test_it_is_built_from_its_name_and_gives_the_tokens_it_promises(name: str) -> None:
    connector = build_connector(named(name), GRIDS, 24)
    visual = connector([torch.randn(2, grid.side**2, grid.width) for grid in GRIDS])
    assert visual.tokens.shape == (2, connector.queries, 24)
    assert visual.tokens.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_every_encoder_is_listened_to(name: str) -> None:
    connector = build_connector(named(name), GRIDS, 24)
    grids = [torch.randn(1, grid.side**2, grid.width, requires_grad=True) for grid in GRIDS]
    connector(grids).tokens.square().sum().backward()
    assert all(grid.grad is not None and grid.grad.abs().sum() > 0 for grid in grids)


@pytest.mark.parametrize("name", NAMES)
def test_shares_are_given_for_every_encoder_or_not_at_all(name: str) -> None:
    connector = build_connector(named(name), GRIDS, 24)
    shares = connector.shares([torch.randn(2, grid.side**2, grid.width) for grid in GRIDS])
    if shares is not None:
        assert shares.shape == (2, len(GRIDS))
        torch.testing.assert_close(shares.sum(1), torch.ones(2))


@pytest.mark.parametrize("name", ["mlpNx_gelu", "mlp0x_gelu", "perceiver", ""])
def test_what_is_no_name_belongs_to_no_family(name: str) -> None:
    assert family(name) is None


def test_reading_settings_imports_no_torch() -> None:
    check = "import sys, opabinia.models.connector_config; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
