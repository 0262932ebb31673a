"""How fast devices are and what they cost: a table that the user can edit."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from opabinia.config import Config
from opabinia.data.tables import read_table

OURS = Path(__file__).with_name("rates.yaml")


class DeviceRate(Config):
    """One kind of device; see rates.yaml for what the fields mean."""

    tflops: float = Field(gt=0)
    tflops_float32: float | None = Field(default=None, gt=0)
    utilisation: float = Field(gt=0, le=1)
    dollars_per_hour: float = Field(ge=0)
    source: str
    dated: str

    def flops_per_second(self, *, float32: bool) -> float:
        """What a training step is assumed to reach."""
        peak = self.tflops_float32 if float32 and self.tflops_float32 is not None else self.tflops
        return peak * 1e12 * self.utilisation


class RateTable(Config):
    """Rates by the name that Ray gives a device, as in rates.yaml."""

    devices: dict[str, DeviceRate]
    start_up_seconds: float = Field(ge=0)
    read_mb_per_second: float = Field(gt=0)


def rate_table(file: Path | None) -> RateTable:
    """The table in a file, or ours. Raises ValueError that begins with the file's name."""
    return read_table(RateTable, file or OURS)
