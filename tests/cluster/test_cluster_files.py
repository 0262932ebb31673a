"""The cluster files say what `ray up` accepts, and keep to the rules of the house."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.gcp.config import get_node_type
from ray.autoscaler._private.util import prepare_config, validate_config

Config = dict[str, Any]

FOLDER = Path(__file__).resolve().parents[2] / "clusters"
FILES = sorted(FOLDER.glob("gcp-*.yaml"))


def read(file: Path) -> Config:
    return yaml.safe_load(file.read_text())


def check(config: Config) -> Config:
    """Do what `ray up` does before it talks to Google Cloud."""
    prepared = prepare_config(copy.deepcopy(config))
    for node_type in prepared["available_node_types"].values():
        get_node_type(node_type["node_config"])
    validate_config(prepared)
    return prepared


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def config(request: pytest.FixtureRequest) -> Config:
    return read(request.param)


def test_there_are_files_for_a_tpu_host_a_tpu_slice_and_gpus() -> None:
    assert {file.stem for file in FILES} >= {"gcp-tpu-v4-8", "gcp-tpu-v4-64", "gcp-gpu"}


def test_ray_accepts_the_file(config: Config) -> None:
    prepared = check(config)
    assert prepared["head_node_type"] in prepared["available_node_types"]


def misspell_a_field(config: Config) -> None:
    config["max_worker"] = config.pop("max_workers")


def name_a_head_that_is_not_there(config: Config) -> None:
    config["head_node_type"] = "haed"


def ask_for_more_workers_than_allowed(config: Config) -> None:
    config["max_workers"] = 0
    for node_type in config["available_node_types"].values():
        node_type["min_workers"] = 1


def leave_out_the_machine(config: Config) -> None:
    config["available_node_types"]["head"]["node_config"].pop("machineType")


def name_a_tpu_that_does_not_exist(config: Config) -> None:
    config["available_node_types"]["head"]["node_config"] = {"acceleratorType": "v4_8"}


def forget_the_container(config: Config) -> None:
    config["docker"].pop("container_name")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (misspell_a_field, "'max_worker' was unexpected"),
        (name_a_head_that_is_not_there, "`head_node_type` must be one of"),
        (ask_for_more_workers_than_allowed, "`max_workers` is smaller than the sum"),
        (leave_out_the_machine, "'machineType' is required"),
        (name_a_tpu_that_does_not_exist, "Got v4_8"),
        (forget_the_container, "Must provide a container"),
    ],
)
def test_ray_refuses_a_wrong_file(config: Config, spoil: Callable[[Config], None], reason: str) -> None:
    spoil(config)
    with pytest.raises((ValueError, AssertionError, jsonschema.ValidationError), match=reason):
        check(config)


def test_workers_are_spot_machines(config: Config) -> None:
    for name, node_type in config["available_node_types"].items():
        node = node_type["node_config"]
        if name != config["head_node_type"]:
            is_spot = node.get("scheduling", {}).get("provisioningModel") == "SPOT"
            assert is_spot or node.get("schedulingConfig") == {"preemptible": True}, name


def test_every_ray_process_asks_for_the_token(config: Config) -> None:
    assert "--env RAY_AUTH_MODE=token" in config["docker"]["run_options"]
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


def test_no_container_reaches_the_docker_daemon_and_none_is_privileged_without_a_tpu(config: Config) -> None:
    assert "docker.sock" not in str(config)
    assert "--privileged" not in config["docker"]["run_options"]
    for node_type in config["available_node_types"].values():
        if "acceleratorType" not in node_type["node_config"]:
            assert "--privileged" not in str(node_type)


def test_the_head_takes_no_trials(config: Config) -> None:
    assert config["available_node_types"]["head"]["resources"] == {"CPU": 0}


def test_the_project_is_an_obvious_placeholder(config: Config) -> None:
    assert config["provider"]["project_id"] == "YOUR-PROJECT-ID"


def test_the_files_that_a_cluster_copies_are_in_the_repository(config: Config) -> None:
    copied = [Path(path) for path in config["file_mounts"].values() if not path.startswith("~")]
    assert copied
    assert [path for path in copied if not (FOLDER.parent / path).is_file()] == []
