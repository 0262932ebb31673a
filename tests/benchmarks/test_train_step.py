"""Both ways of the training benchmark compute the same model, operations are counted right, and the large sizes can be built."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from plain_step import PlainModel, plain_batch, plain_way
from platform_step import platform_way
from step_flops import counted, language_model_forward, needed, peak_rate
from step_records import Records, draw_records, pixels_of
from step_sizes import SIZES, Size, build_encoders, build_model
from stopwatch import Stopwatch
from train_step import loss_and_norm

from opabinia.data.collate import collate_text
from opabinia.data.prompts import IGNORE
from opabinia.data.streaming.grouping import group_by_length
from opabinia.data.streaming.rows import rows_of
from opabinia.models.learner import Learner
from opabinia.models.places import place
from opabinia.training.backends.choose import open_backend
from opabinia.training.backends.config import HardwareConfig
from opabinia.training.backends.tensors import map_tensors
from tests.conftest import ROOT

FLOAT32 = open_backend("cpu", HardwareConfig())
BFLOAT16 = open_backend("cpu", HardwareConfig(precision="bfloat16"))
PARTS = {"data", "encode", "forward", "backward", "optimiser"}


@pytest.fixture(scope="module")
def toy() -> Size:
    return replace(SIZES["toy"], steps=3, rows=4, at_once=2)


@pytest.fixture(scope="module")
def records(toy: Size) -> Records:
    """Of which one in the first part of the first batch is text alone."""
    drawn = draw_records(toy)
    alone = next(place for place, pictured in enumerate(drawn.pictured) if not pictured)
    order = [alone, *(place for place in range(len(drawn.lengths)) if place != alone)]
    return Records(drawn.table.take(order), drawn.lengths[order], drawn.pictured[order], drawn.supervised)


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable.:FutureWarning")
@pytest.mark.parametrize("twice", [False, True])
def test_both_ways_give_the_same_loss_and_the_same_gradients(toy: Size, records: Records, twice: bool) -> None:
    loss, ours = platform_way(toy, records, FLOAT32, stored=False, twice=twice).first_gradients()
    expected, theirs = plain_way(toy, records, "cpu", torch.float32, twice=twice).first_gradients()
    assert loss == pytest.approx(expected, rel=1e-6)
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(
            gradient, theirs[name], rtol=1e-4, atol=1e-6, msg=lambda told, at=name: f"{at}: {told}"
        )


def test_stored_features_change_the_loss_by_their_rounding_alone(toy: Size, records: Records) -> None:
    stored = loss_and_norm(platform_way(toy, records, FLOAT32, stored=True, twice=False))
    assert stored == pytest.approx(loss_and_norm(plain_way(toy, records, "cpu", torch.float32, twice=False)), rel=1e-4)


def test_both_ways_agree_in_bfloat16_as_far_as_it_reaches(toy: Size, records: Records) -> None:
    platform = loss_and_norm(platform_way(toy, records, BFLOAT16, stored=False, twice=False))
    plain = loss_and_norm(plain_way(toy, records, "cpu", torch.bfloat16, twice=False))
    assert platform == pytest.approx(plain, rel=2e-2)


@pytest.mark.parametrize("name", ["platform", "stored", "plain"])
def test_steps_go_through_the_batches_asked_for_and_can_be_divided(toy: Size, records: Records, name: str) -> None:
    way = (
        plain_way(toy, records, "cpu", torch.float32, twice=False)
        if name == "plain"
        else platform_way(toy, records, FLOAT32, stored=name == "stored", twice=False)
    )
    assert way.batches == toy.steps
    before, _ = way.first_gradients()
    padding = list(way.steps([way.warm, *range(way.batches)]))
    assert len(padding) == 1 + toy.steps and padding[0] == padding[1 + way.warm]
    watch = Stopwatch("cpu")
    way.divided(0, watch)
    assert watch.seconds.keys() == PARTS - ({"encode"} if name == "stored" else set())
    after, _ = way.first_gradients()
    assert after < before


def test_padding_is_what_the_lengths_say(toy: Size, records: Records) -> None:
    plain = plain_way(toy, records, "cpu", torch.float32, twice=False)
    assert list(plain.steps(range(toy.steps))) == pytest.approx(padding_of(records.lengths, toy))
    platform = platform_way(toy, records, FLOAT32, stored=False, twice=False)
    grouped = records.lengths[group_by_length(records.lengths, records.pictured, toy.rows, seed=0)]
    assert list(platform.steps(range(toy.steps))) == pytest.approx(padding_of(grouped, toy))


def padding_of(lengths: NDArray[np.int64], size: Size) -> list[float]:
    """Of each batch, whose parts are padded to their own longest row."""
    parts = lengths.reshape(size.steps, -1, size.at_once)
    return (1 - parts.sum((1, 2)) / (parts.max(2).sum(1) * size.at_once)).tolist()


def test_records_are_as_long_as_they_say_and_have_a_picture_each(toy: Size, records: Records) -> None:
    queries = toy.connector.queries
    lengths = [len(row) for row in records.table["input_ids"].to_pylist()]
    assert [text + (queries - 1) * pictured for text, pictured in zip(lengths, records.pictured, strict=True)] == list(
        records.lengths
    )
    assert max(records.lengths) <= toy.longest
    assert sum(label != IGNORE for row in records.table["labels"].to_pylist() for label in row) == records.supervised
    sides = [entry.input_size for entry in toy.encoders]
    assert [tuple(shown.shape) for shown in pixels_of(records.table, toy)] == [
        (records.pictures, 3, side, side) for side in sides
    ]


def test_the_formula_counts_what_torch_counts_but_for_the_half_of_attention_that_is_hidden(toy: Size) -> None:
    model: Any = build_model(toy, "cpu").language_model
    model.set_attn_implementation("eager")
    length, shape = 48, toy.language_model
    by_torch = counted(lambda: model(torch.zeros(1, length, dtype=torch.long), use_cache=False))
    hidden = 2 * shape["num_hidden_layers"] * shape["hidden_size"] * length * (length - 1)
    assert language_model_forward(toy, [length], supervised=length) == by_torch - hidden


def test_encoders_are_counted_once_a_picture_and_learning_is_not_less_than_three_forward_passes(
    toy: Size, records: Records
) -> None:
    encoders = build_encoders(toy, "cpu", torch.float32)
    pixels = pixels_of(records.table, toy)
    by_torch = counted(lambda: [encoder(shown) for encoder, shown in zip(encoders, pixels, strict=True)])
    found = needed(toy, records)
    assert found.encoding == by_torch
    assert found.learning > 3 * language_model_forward(toy, records.lengths.tolist(), records.supervised)


@pytest.mark.parametrize(
    ("name", "teraflops"),
    [
        ("NVIDIA H200", 989),
        ("NVIDIA H200 NVL", 835),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA A100-SXM4-80GB", 312),
    ],
)
def test_peak_rates_of_known_devices(name: str, teraflops: int) -> None:
    assert peak_rate(name) == teraflops * 1e12


def test_an_unknown_device_has_no_peak_rate() -> None:
    assert peak_rate("one CPU core") is None


@pytest.fixture
def _masks_without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers looks whether a mask hides anything; the meta device has no values to look at."""
    monkeypatch.setattr("transformers.masking_utils._ignore_causal_mask_sdpa", lambda *_, **__: False)


@pytest.mark.e2e
@pytest.mark.usefixtures("_masks_without_values")
@pytest.mark.parametrize(("name", "millions"), [("medium", 246), ("large", 1544)])
def test_sizes_for_gpus_run_forward_and_backward_both_ways(name: str, millions: int) -> None:
    size = replace(SIZES[name], rows=2, at_once=2, steps=1)
    table = draw_records(size).table
    model = build_model(size, "meta")
    parameters = sum(parameter.numel() for parameter in model.language_model.parameters())
    assert round(parameters / 1e6) == millions
    encoders = build_encoders(size, "meta", torch.float32)
    batch = plain_batch(table, size)
    assert size.connector.queries == 576
    features = [encoder(shown.to("meta")) for encoder, shown in zip(encoders, batch.pixels, strict=True)]
    places = place(collate_text(rows_of(table), 0), model.layout)
    Learner(model)(map_tensors(places, lambda tensor: tensor.to("meta")), features).backward()
    _check_all_learn(model)
    PlainModel(model)(batch, features, batch.supervised)[0].backward()
    _check_all_learn(model)


def _check_all_learn(model: torch.nn.Module) -> None:
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    model.zero_grad(set_to_none=True)


@pytest.mark.e2e
def test_the_command_prints_a_table_and_writes_results(tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / "train_step.py"
    results = tmp_path / "results.json"
    command = [sys.executable, str(script), "--sizes", "toy", "--rounds", "1", "--results", str(results)]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout
    assert "× plain" in printed and "n/a" in printed
    ways = json.loads(results.read_text())["toy"]["ways"]
    assert list(ways) == ["platform", "platform, stored", "plain"]
    assert ways["plain"]["times_plain"] == 1 and ways["platform"]["mfu"] is None
