"""A description of this environment, to be pasted into a bug report."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from opabinia.cluster.config import LocalConfig
from opabinia.cluster.local import Status, status
from opabinia.cluster.resources import find_hardware

_PACKAGES = (
    "opabinia",
    "ray",
    "torch",
    "torchvision",
    "torch_xla",
    "torch_tpu",
    "transformers",
    "timm",
    "open_clip_torch",
    "mlflow",
    "pylance",
    "pydantic",
    "numpy",
    "pyarrow",
    "pillow",
    "openai",
)
_PREFIXES = ("RAY_", "OPABINIA_", "MLFLOW_", "CUDA_", "PJRT_", "OMP_", "PYTHON")
_SECRET_WORDS = ("TOKEN", "PASSWORD", "SECRET", "KEY", "CREDENTIAL")


def report() -> list[str]:
    """Return lines about Python, packages, hardware, services and environment variables; secrets are left out.

    Imports none of the packages, so that it also works where one of them is broken.
    """
    return [
        *_section("python", [f"{platform.python_version()} at {sys.executable}", platform.platform()]),
        *_section("packages", [f"{name} {_installed(name)}" for name in _PACKAGES]),
        *_section("hardware", _hardware_lines()),
        *_section("services", [_service_line(entry) for entry in status(LocalConfig())]),
        *_section("environment", _environment_lines()),
    ]


def _section(title: str, lines: list[str]) -> list[str]:
    return [title, *(f"  {line}" for line in lines)]


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _hardware_lines() -> list[str]:
    hardware = find_hardware()
    free = shutil.disk_usage(Path.cwd()).free
    return [
        f"{hardware.cpus} CPU cores, {_gb(hardware.memory_bytes)} memory, {_gb(free)} free disk",
        f"{hardware.gpus} GPUs, {hardware.tpu_chips} TPU chips",
    ]


def _gb(count: float) -> str:
    return f"{count / 1e9:.1f} GB"


def _service_line(entry: Status) -> str:
    where = f" at {entry.record.url}, {entry.memory_mb:.0f} MB" if entry.record else ""
    return f"{entry.service.title} {entry.state}{where}"


def _environment_lines() -> list[str]:
    names = sorted(name for name in os.environ if name.startswith(_PREFIXES))
    return [f"{name}={_shown(name, os.environ[name])}" for name in names] or ["nothing of note"]


def _shown(name: str, value: str) -> str:
    if _is_secret(name):
        return "(set)"
    return re.sub(r"//[^/@]*@", "//(set)@", value)


def _is_secret(name: str) -> bool:
    # A path to a token says nothing about the token.
    return not name.endswith("_PATH") and any(word in name for word in _SECRET_WORDS)
