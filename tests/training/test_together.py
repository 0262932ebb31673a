"""However a batch is spread over workers and parts, and however weights are laid out, training is the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, multiprocessing

from connectors.settings.sva import SvaSettings
from opabinia.data.arrow import pa
from opabinia.data.collate import collate_text
from opabinia.data.prompts import encode_conversation
from opabinia.data.records import Turn
from opabinia.data.streaming.plan import StreamPosition
from opabinia.data.streaming.stream import Part, Streamed
from opabinia.encoders.loading import load_learning_encoder
from opabinia.models.activation_checkpointing import checkpoint_activations
from opabinia.models.activation_checkpointing_config import ActivationCheckpointing
from opabinia.models.learner import Learner
from opabinia.training.backends.backend import Backend
from opabinia.training.backends.choose import open_backend
from opabinia.training.backends.config import HardwareConfig
from opabinia.training.loop import Trained, train_stage
from opabinia.training.optimisation.optimiser import build_optimiser, set_learning
from opabinia.training.placing import Placing
from opabinia.training.reports.scored_model import scored_model
from tests.models.small import ENCODERS, small_model, tokenizer
from tests.training.stages import stage
from tests.training.watching import watching

pytestmark = pytest.mark.e2e

STEPS, ROWS, WORKERS = 20, 8, 2
STAGE = stage(
    trains=("connector", "language_model", "encoders"),
    steps=STEPS,
    batch=ROWS,
    base_batch=ROWS,
    lr=1e-3,
    warmup_steps=2,
)
# Biases of keys change nothing that attention gives: AdamW makes steps of what rounding leaves of their gradients.
ROUNDING = 1e-4
POSITION = StreamPosition(window=0, unit=0, epoch=0, shard=0, offset=0, seed=0, data="")


@dataclass(frozen=True)
class Way:
    """How the batch is computed on: by how many workers, in how many parts each, with weights copied or sharded."""

    workers: int = 1
    parts: int = 1
    sharding: str = "replicated"
    twice: bool = False
    compiled: bool = False


class Shown:
    """One encoder's pixels and the other's features, by the number that is a picture's key."""

    more = None

    def of_batch(self, part: Part) -> list[Tensor]:
        return [torch.stack(each) for each in zip(*map(_shown, part.batch.image_keys), strict=True)]

    def of_prompts(self, prompts: Any) -> list[Tensor]:
        raise NotImplementedError


def _shown(key: str) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(int(key))
    model = small_grids()
    return torch.randn(3, 64, 64, generator=generator), torch.randn(*model, generator=generator)


def small_grids() -> tuple[int, int]:
    from opabinia.encoders.catalogue import CATALOGUE

    entry = CATALOGUE[ENCODERS[1]]
    return entry.grid**2, entry.width


def row(number: int) -> dict[str, Any]:
    """Of every eight rows the last four are text alone, so that the second of two workers sees no picture."""
    pictured = number % ROWS < ROWS // 2
    asked = "what colour is the circle ?" if number % 3 else "is the square left of the red circle ?"
    answer = ("red", "green and blue", "white", "yes")[number % 4]
    turns = (Turn("user", f"<image>\n{asked}" if pictured else asked), Turn("assistant", answer))
    encoded = encode_conversation(tokenizer(), turns)
    keys = [str(number)] if pictured else []
    ids, labels = encoded.input_ids, encoded.labels
    return {"input_ids": ids, "labels": labels, "lengths": [len(ids)], "images": keys, "image_keys": keys}


def batches(way: Way, rank: int) -> Iterator[Streamed]:
    each = ROWS // way.workers
    cuts = [each * part // way.parts for part in range(way.parts + 1)]
    for step in range(STEPS):
        rows = [row(ROWS * step + rank * each + place) for place in range(each)]
        parts = [Part(collate_text(rows[first:stop], 0), pa.table({})) for first, stop in pairwise(cuts)]
        yield Streamed(tuple(parts), POSITION)


def train(way: Way, rank: int = 0) -> dict[str, Any]:
    """The losses, and what the model that would be scored knows at the end."""
    backend: Backend = open_backend("cpu", HardwareConfig.model_validate({"sharding": way.sharding}))
    torch.manual_seed(0)
    model, encoders = small_model(SvaSettings()), {ENCODERS[0]: load_learning_encoder(ENCODERS[0])}
    checkpoint_activations(model, ActivationCheckpointing(decoder_layers=int(way.twice)), encoders.values())
    learner = Learner(model, encoders)
    scored = scored_model(learner, backend, rank)
    if way.compiled:
        learner.compile_blocks()
    learner.requires_grad_(False)
    set_learning(model, STAGE, encoders)
    wrapped = backend.wrap(learner, learner.blocks)
    trained = Trained(wrapped, build_optimiser(model, STAGE, encoders), backend, Placing(model.layout))
    losses = [step.loss for step in train_stage(trained, STAGE, batches(way, rank), Shown(), watching(model, STAGE))]
    weights = [parameter.detach().norm() for parameter in scored.now().parameters()]
    return {"losses": losses, "weights": torch.stack(weights).tolist() if rank == 0 else []}


def _worker(rank: int, way: Way, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=way.workers)
    (folder / f"{rank}.json").write_text(json.dumps(train(way, rank)))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return train(Way())


@pytest.mark.parametrize(
    "way",
    [
        Way(workers=WORKERS),
        Way(workers=WORKERS, parts=2),
        Way(workers=WORKERS, sharding="sharded"),
        Way(workers=WORKERS, parts=2, sharding="sharded", twice=True),
    ],
)
def test_two_workers_train_what_one_trains(way: Way, alone: dict[str, Any], tmp_path: Path) -> None:
    multiprocessing.spawn(_worker, (way, tmp_path), nprocs=WORKERS)
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(WORKERS)]
    assert found[0]["losses"] == found[1]["losses"]
    assert found[0]["losses"] == pytest.approx(alone["losses"], rel=1e-5)
    assert found[0]["weights"] == pytest.approx(alone["weights"], rel=1e-4, abs=ROUNDING)


@pytest.mark.parametrize("parts", [2, 8])
def test_accumulated_parts_are_one_batch(parts: int, alone: dict[str, Any]) -> None:
    found = train(Way(parts=parts))
    assert found["losses"] == pytest.approx(alone["losses"], rel=1e-5)
    assert found["weights"] == pytest.approx(alone["weights"], rel=1e-4, abs=ROUNDING)


def test_compiled_layers_compute_the_same(alone: dict[str, Any]) -> None:
    assert train(Way(compiled=True))["losses"] == pytest.approx(alone["losses"], rel=1e-5)


def test_the_loss_falls(alone: dict[str, Any]) -> None:
    assert sum(alone["losses"][-5:]) < 0.6 * sum(alone["losses"][:5])
