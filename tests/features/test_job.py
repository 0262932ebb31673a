"""jobs/cache_features.py as it is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import ray
import yaml

from opabinia.features.table import FeatureReader
from tests.conftest import ROOT

pytestmark = pytest.mark.e2e


def experiment(folder: Path) -> Path:
    """A file for the toy world of a few scenes, all of it under `folder`."""
    text = (ROOT / "jobs" / "experiments" / "quickstart.yaml").read_text()
    settings = yaml.safe_load(text.replace("runs/", f"{folder}/"))
    settings["world"] |= {"scenes": 24, "facts": 2, "benchmark": 4}
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


def test_the_job_says_what_it_will_take_and_then_stores_every_encoder_of_the_experiment(
    tmp_path: Path, local_ray: None
) -> None:
    job, address = ROOT / "jobs" / "cache_features.py", ray.get_runtime_context().gcs_address
    command = [sys.executable, str(job), "--config", str(experiment(tmp_path)), "--cache.precision", "bfloat16"]
    done = subprocess.run(command, env=os.environ | {"RAY_ADDRESS": address}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [table] = (tmp_path / "quickstart").glob("features-*.lance")
    plan, _, outcome = done.stdout.partition("free ")
    assert f"as bfloat16, in {table}" in plan
    assert "at 4 × 4" in plan
    encoders = ["burgess/caption-vit", "burgess/mim-vit", "burgess/dense-convnext"]
    for encoder in encoders:
        assert encoder in plan
        assert f"{encoder}: " in outcome
    assert f"written to {table}" in outcome
    keys = ray.data.read_lance(str(table), columns=["image_key"]).take_all()
    read = FeatureReader(table, encoders).read([row["image_key"] for row in keys])
    assert {encoder: len(features) for encoder, features in read.items()} == dict.fromkeys(encoders, len(keys))
