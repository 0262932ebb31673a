"""Settings of the services on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from opabinia.config import Config

Port = Annotated[int, Field(ge=1024, le=65535)]

PORT_VARIABLES = {
    "ray_port": "OPABINIA_RAY_PORT",
    "dashboard_port": "OPABINIA_DASHBOARD_PORT",
    "mlflow_port": "OPABINIA_MLFLOW_PORT",
}
"""Field -> environment variable that sets it where no flag does."""


class LocalConfig(Config):
    """The Ray head and the MLflow server of one machine; both listen on the loopback interface only."""

    folder: Path = Path("runs")
    """Folder of everything the services keep: FOLDER/.local (state, token, logs) and FOLDER/mlflow."""

    ray_port: Port = 6379
    """Port of the Ray head; also OPABINIA_RAY_PORT."""

    dashboard_port: Port = 8265
    """Port of Ray's dashboard and job API; also OPABINIA_DASHBOARD_PORT."""

    mlflow_port: Port = 5000
    """Port of the MLflow server; also OPABINIA_MLFLOW_PORT."""

    cpus: Annotated[int, Field(ge=1)] | None = None
    """Logical CPUs that Ray gives out; all cores that this process may use where it is not set."""

    object_store_mb: int = Field(default=512, ge=80)
    """Memory of Ray's object store, MB; what does not fit is spilled to disk."""

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        ports = [self.ray_port, self.dashboard_port, self.mlflow_port]
        if len(set(ports)) < len(ports):
            raise ValueError(f"ray_port, dashboard_port and mlflow_port must differ, got {ports}")
        return self

    @property
    def state_folder(self) -> Path:
        """Where state files, the authentication token and the logs are, absolute."""
        return (self.folder / ".local").absolute()

    @property
    def mlflow_folder(self) -> Path:
        """Where the MLflow server keeps its database and artifacts, absolute."""
        return (self.folder / "mlflow").absolute()


def port_flags(environment: Mapping[str, str]) -> list[str]:
    """Return the flags that the environment's port variables stand for."""
    given = [(field, environment[name]) for field, name in PORT_VARIABLES.items() if environment.get(name)]
    return [f"--{field}={value}" for field, value in given]
