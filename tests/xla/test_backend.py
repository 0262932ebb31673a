"""What PyTorch/XLA does under the protocol: several devices in one process, whose rows and weights are split."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch
from torch.nn import functional

from opabinia.training.backends.choose import open_backend
from opabinia.training.backends.config import HardwareConfig
from tests.xla import toy

DEVICES = 2


def sharding(tensor: torch.Tensor) -> str:
    return import_module("torch_xla")._XLAC._get_xla_sharding_spec(tensor)


@pytest.mark.parametrize(
    "config", [HardwareConfig(), HardwareConfig(sharding="sharded")], ids=["replicated", "sharded"]
)
def test_two_devices_train_what_one_cpu_trains(config: HardwareConfig) -> None:
    losses = toy.train(open_backend("xla", config))
    assert losses == pytest.approx(toy.train(open_backend("cpu", HardwareConfig())), rel=1e-4)


def test_in_bfloat16_the_losses_are_near() -> None:
    losses = toy.train(open_backend("xla", HardwareConfig(precision="bfloat16")))
    expected = toy.train(open_backend("cpu", HardwareConfig()))
    assert losses == pytest.approx(expected, rel=0.02)
    assert losses != pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("masked", [False, True])
def test_in_bfloat16_attention_takes_what_rotation_left_in_float32(masked: bool) -> None:
    backend = open_backend("xla", HardwareConfig(precision="bfloat16"))
    query, key, value = torch.randn(3, 2, 4, 8, 16, generator=torch.manual_seed(0))
    mask = torch.randn(2, 1, 8, 8) if masked else None
    moved = backend.move({"query": query, "key": key, "value": value.bfloat16(), "attn_mask": mask})
    with backend.autocast():
        found = functional.scaled_dot_product_attention(**moved)
    assert found.dtype == torch.bfloat16
    expected = functional.scaled_dot_product_attention(query, key, value, mask)
    torch.testing.assert_close(found.cpu().float(), expected, rtol=0.03, atol=0.03)


def test_rows_are_split_over_the_devices_and_what_they_cannot_share_is_copied() -> None:
    backend = open_backend("xla", HardwareConfig())
    assert backend.row_multiple == DEVICES
    moved = backend.move(
        {"rows": torch.arange(8.0).view(4, 2), "odd": torch.arange(3), "one": torch.tensor(1), "name": "x"}
    )
    assert sharding(moved["rows"]) == "{devices=[2,1]0,1}"
    assert not sharding(moved["odd"])
    assert not sharding(moved["one"])
    assert moved["name"] == "x"
    assert moved["rows"].cpu().equal(torch.arange(8.0).view(4, 2))


def test_each_device_keeps_its_part_of_a_sharded_weight() -> None:
    backend = open_backend("xla", HardwareConfig(sharding="sharded"))
    model = backend.place(toy.Toy())
    backend.wrap(model, [])
    shapes = {name: sharding(parameter) for name, parameter in model.named_parameters()}
    assert shapes["words.weight"] == "{devices=[2,1]0,1}"
    assert shapes["middle.2.weight"] == "{devices=[1,2]0,1}"
    assert shapes["middle.0.bias"] == "{replicated}"


def test_the_same_seed_gives_the_same_numbers_on_the_device() -> None:
    backend = open_backend("xla", HardwareConfig())
    drawn = []
    for seed in (3, 3, 4):
        backend.seed(seed)
        drawn.append(torch.rand(4, device=backend.device).tolist())
    assert drawn[0] == drawn[1] != drawn[2]
