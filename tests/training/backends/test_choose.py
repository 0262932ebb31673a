"""Which hardware a run gets, from what was asked for and what Ray says of its nodes."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from opabinia.training.backends.choose import Chosen, Slice, choose, open_backend
from opabinia.training.backends.config import Hardware, HardwareConfig

V4 = {"ray.io/tpu-topology": "2x2x2", "ray.io/accelerator-type": "TPU-V4"}
V6E = {"ray.io/tpu-topology": "4x4", "ray.io/accelerator-type": "TPU-V6E"}


def node(labels: dict[str, str] | None = None, *, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {"CPU": 8.0, **resources}, "Labels": labels or {}}


def test_auto_takes_gpus_where_there_are_some_and_cpus_where_there_is_nothing_else() -> None:
    assert choose(HardwareConfig(), [node(), node(GPU=8.0)]) == Chosen("cuda")
    assert choose(HardwareConfig(), [node(), node(GPU=8.0, alive=False)]) == Chosen("cpu")


@given(asked=st.sampled_from(["cpu", "cuda"]), gpus=st.floats(0, 8), chips=st.floats(0, 8))
def test_what_is_asked_for_is_taken_whatever_there_is(asked: Hardware, gpus: float, chips: float) -> None:
    assert choose(HardwareConfig(hardware=asked), [node(GPU=gpus, TPU=chips)]) == Chosen(asked)


def test_the_slices_of_the_cluster_are_taken_unless_others_are_asked_for() -> None:
    nodes = [node(), node(V4, TPU=4.0), node(V4, TPU=4.0)]
    assert choose(HardwareConfig(hardware="xla"), nodes) == Chosen("xla", Slice("2x2x2", "TPU-V4"))
    asked = HardwareConfig(hardware="tpu", topology="4x4", accelerator_type="TPU-V6E")
    assert choose(asked, nodes) == Chosen("tpu", Slice("4x4", "TPU-V6E"))


@pytest.mark.parametrize(
    ("nodes", "shown"), [([], "no slice"), ([node(V4, TPU=4.0), node(V6E, TPU=4.0)], "TPU-V4 2x2x2 and TPU-V6E 4x4")]
)
def test_one_must_choose_where_there_is_not_one_kind_of_slice(nodes: list[dict[str, Any]], shown: str) -> None:
    with pytest.raises(ValueError, match=f"topology: the cluster shows {shown}; choose by topology"):
        choose(HardwareConfig(hardware="xla"), nodes)


def test_tpus_without_a_package_for_them_are_said_so() -> None:
    assert not find_spec("torch_tpu") and not find_spec("torch_xla")
    with pytest.raises(ValueError, match=r"hardware: the cluster has TPUs.*install opabinia\[tpu\]"):
        choose(HardwareConfig(), [node(V4, TPU=4.0)])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"topology": "2x2x2"}, "topology: means something only with accelerator_type"),
        ({"accelerator_type": "TPU-V4"}, "topology: means something only with accelerator_type"),
        ({"hardware": "cuda", "topology": "4x4", "accelerator_type": "TPU-V6E"}, "topology: cuda has no slices"),
    ],
)
def test_half_a_slice_is_refused(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        HardwareConfig.model_validate(settings)


@pytest.mark.parametrize("hardware", ["tpu", "cuda"])
def test_hardware_that_is_not_here_is_one_line(hardware: Hardware, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match=f"hardware: {hardware}.*"):
        open_backend(hardware, HardwareConfig())
