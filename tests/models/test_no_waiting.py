"""The model's part of a training step never waits for the device."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from connectors.settings.sva import SvaSettings
from opabinia.data.collate import TextBatch
from opabinia.models.activation_checkpointing import checkpoint_activations
from opabinia.models.activation_checkpointing_config import ActivationCheckpointing
from opabinia.models.head import head_of
from opabinia.models.loss import chunked_next_token_loss
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.multimodal_config import ModelConfig
from opabinia.models.places import Places, StaticShape, pad_pictures, place
from tests.models.refusing import NoWaiting
from tests.models.small import CONNECTORS
from tests.models.test_decoders import FAMILIES, GRIDS, decoder, features, model_of
from tests.models.test_packing import IMAGES, ROWS, SAMPLES, SIZES, batch_of

CHUNK = 8


def text_batch(*, packed: bool) -> TextBatch:
    tensors = batch_of(ROWS if packed else [[sample] for sample in SAMPLES])
    return TextBatch(**tensors, images=[], image_keys=[])


def step(model: MultimodalModel, places: Places, grids: list[Tensor]) -> Tensor:
    hidden = model.hidden(places, grids)
    total, _ = chunked_next_token_loss(
        hidden, head_of(model.language_model), places.labels, chunk=CHUNK, at_most=places.at_most
    )
    total.backward()
    return total.detach()


@pytest.mark.parametrize("packed", [False, True], ids=["rows of one", "packed"])
@pytest.mark.parametrize("family", FAMILIES)
def test_no_family_of_decoders_asks_the_device_for_anything(family: str, packed: bool) -> None:
    model = model_of(family).train()
    model.check_packing()
    places, grids = place(text_batch(packed=packed), model.layout), features(IMAGES)
    with NoWaiting():
        loss = step(model, places, grids)
    assert places.packed == packed
    expected = model(**batch_of(ROWS), features=grids).loss * places.supervised
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("separated", [False, True], ids=["whole grids", "separated rows"])
@pytest.mark.parametrize("static", [False, True], ids=["own shapes", "static"])
@pytest.mark.parametrize("twice", [False, True], ids=["once", "computed twice"])
def test_nothing_comes_from_the_host_in_the_step(separated: bool, static: bool, twice: bool) -> None:
    config = ModelConfig(
        encoders=("a", "b"),
        connector=SvaSettings(queries=16, width=16, heads=2, in_llm_count=2, in_llm_start=1),
        language_model="llama",
        row_separator=separated,
    )
    model = MultimodalModel(config, decoder("llama"), GRIDS)
    model.check_packing()
    if twice:
        checkpoint_activations(model, ActivationCheckpointing(decoder_layers=1, connector=True))
    shape = StaticShape(128, 4, packed=True) if static else None
    places = place(text_batch(packed=True), model.layout, shape, SIZES if separated else None)
    grids = pad_pictures(features(IMAGES), places, [grid[0] for grid in features(1)])
    moved, seen = places.to(torch.device("meta")), [grid.to("meta") for grid in grids]
    model.to("meta")
    with NoWaiting():
        step(model, moved, seen)


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.type)
def test_no_connector_asks_the_device_for_anything(connector: SvaSettings) -> None:
    small = connector.model_copy(update={"queries": 16})
    model = MultimodalModel(
        ModelConfig(encoders=("a", "b"), connector=small, language_model="llama"), decoder("llama"), GRIDS
    )
    places = place(text_batch(packed=False), model.layout)
    with NoWaiting():
        step(model, places, features(IMAGES))


@pytest.mark.parametrize(
    "asks",
    [
        lambda some: some[some > 0],
        lambda some: some.nonzero(),
        lambda some: some.sum().item(),
        lambda some: bool(some.any()),
        lambda some: some.masked_select(some > 0),
        lambda some: some.unique(),
        lambda some: some.repeat_interleave(some.long()),
        lambda some: some.index_put((some > 0,), some.new_zeros(())),
        lambda some: some.equal(some),
        lambda some: some.to("meta"),
    ],
)
def test_what_waits_is_refused_in_these_tests(asks: Callable[[Tensor], object]) -> None:
    with NoWaiting(), pytest.raises(RuntimeError, match=r"waits for the device|to another device"):
        asks(torch.arange(3.0))
