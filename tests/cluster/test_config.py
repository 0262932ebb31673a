"""Settings of the local services."""

from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.cluster.config import LocalConfig, port_flags


def test_ports_come_from_the_environment_as_flags() -> None:
    environment = {"OPABINIA_RAY_PORT": "6400", "OPABINIA_MLFLOW_PORT": "", "HOME": "/root"}
    assert port_flags(environment) == ["--ray_port=6400"]


def test_ports_must_differ() -> None:
    with pytest.raises(ValueError, match=r"must differ, got \[6379, 8265, 6379\]"):
        LocalConfig(mlflow_port=6379)


@pytest.mark.parametrize("port", [0, 80, 65536])
def test_a_port_outside_the_user_range_is_refused(port: int) -> None:
    with pytest.raises(ValueError, match="ray_port"):
        LocalConfig(ray_port=port)


def test_services_keep_everything_below_one_folder(tmp_path: Path) -> None:
    config = LocalConfig(folder=tmp_path)
    assert config.state_folder == tmp_path / ".local"
    assert config.mlflow_folder == tmp_path / "mlflow"
