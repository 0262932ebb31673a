"""Where results are tracked."""

from __future__ import annotations

from pydantic import Field

from opabinia.config import Config


class TrackingConfig(Config):
    """The MLflow server, and the names under which results and winners are found there."""

    uri: str = Field(default="http://127.0.0.1:5000", min_length=1)
    """Address of the MLflow tracking server."""

    experiment: str = Field(default="opabinia", min_length=1, max_length=500)
    """MLflow experiment that holds the runs; created when it is new."""

    model_name: str = Field(default="opabinia", min_length=1, pattern=r"^[^/:]+$")
    """Registered model whose alias `champion` names the winner."""
