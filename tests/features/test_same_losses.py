"""Training on stored features against training on features encoded anew: a real small model, its real encoders, real pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from connectors.settings.sva import SvaSettings
from opabinia.burgess.config import WorldConfig
from opabinia.burgess.world import write_world
from opabinia.data.arrow import pa
from opabinia.data.collate import collate_text
from opabinia.data.pictures import picture_key
from opabinia.data.prompts import encode_conversation
from opabinia.data.records import Turn
from opabinia.data.streaming.plan import StreamPosition
from opabinia.data.streaming.reading import ROW_SCHEMA, MoreColumns
from opabinia.data.streaming.rows import rows_of
from opabinia.data.streaming.stream import Part, Streamed
from opabinia.encoders.loading import load_encoder
from opabinia.features.encoder_source import CatalogueSource
from opabinia.features.precision import Precision
from opabinia.features.table import FeatureReader
from opabinia.models.answering import EncodedPictures
from opabinia.training.loop import train_stage
from opabinia.training.recipe.stages import StageConfig
from opabinia.training.visual_features import FreshFeatures, StoredFeatures, VisualFeatures
from tests.features.writing import write_table
from tests.models.small import ENCODERS, small_model, tokenizer
from tests.training.watching import alone, watching

STEPS, BATCH = 6, 4
STAGE = StageConfig.model_validate(
    {"name": "s", "data": "d", "trains": ["connector", "language_model"], "steps": STEPS, "batch": BATCH, "lr": 1e-3}
    | {"base_batch": BATCH}
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = WorldConfig(folder=tmp_path_factory.mktemp("world") / "world", scenes=STEPS * BATCH, facts=1, benchmark=4)
    write_world(world)
    return world.folder / "images"


def by_key(images: Path) -> list[tuple[str, Path]]:
    """In the order of the table, so that both sides encode the same pictures together: other heights may round otherwise."""
    return sorted((picture_key(path), path) for path in images.rglob("*.*") if path.is_file())[: STEPS * BATCH]


def batches(images: Path, more: MoreColumns | None) -> list[Streamed]:
    colours = ("red", "green", "blue", "white")
    question = Turn("user", "<image>\nwhat colour is the circle ?")
    encoded = [encode_conversation(tokenizer(), (question, Turn("assistant", colour))) for colour in colours]
    rows = [
        {
            "input_ids": e.input_ids,
            "labels": e.labels,
            "lengths": [len(e.labels)],
            "images": [str(path)],
            "image_keys": [key],
        }
        for (key, path), e in zip(by_key(images), encoded * STEPS, strict=True)
    ]
    table = pa.Table.from_pylist(rows, schema=ROW_SCHEMA)
    tables = [table.slice(start, BATCH) for start in range(0, len(rows), BATCH)]
    parts = [Part(collate_text(rows_of(one), 0), more(one) if more else one) for one in tables]
    position = StreamPosition(data="", seed=0, window=0, unit=0, epoch=0, shard=0, offset=0)
    return [Streamed((part,), position) for part in parts]


def losses(images: Path, features: VisualFeatures) -> np.ndarray:
    model = small_model(SvaSettings())
    streamed = batches(images, features.more)
    return np.array(
        [step.loss for step in train_stage(alone(model, STAGE), STAGE, streamed, features, watching(model, STAGE))]
    )


@pytest.fixture(scope="module")
def fresh(images: Path) -> np.ndarray:
    return losses(images, FreshFeatures(EncodedPictures([load_encoder(name) for name in ENCODERS]), "full"))


def from_table(images: Path, folder: Path, precision: Precision) -> np.ndarray:
    pictures = {key: str(path) for key, path in by_key(images)}
    write_table(folder, pictures, ENCODERS, precision=precision, source=CatalogueSource(), batch=BATCH)
    return losses(images, StoredFeatures(FeatureReader(folder, ENCODERS), ENCODERS))


def test_float32_gives_exactly_the_losses_of_encoding_anew(images: Path, fresh: np.ndarray, tmp_path: Path) -> None:
    assert from_table(images, tmp_path / "features", "float32").tolist() == fresh.tolist()
    assert len(set(fresh)) == STEPS


@pytest.mark.parametrize(("precision", "most"), [("float16", 5e-4), ("bfloat16", 2e-3), ("int8", 1e-2)])
def test_smaller_types_move_the_losses_by_little(
    images: Path,
    fresh: np.ndarray,
    tmp_path: Path,
    precision: Precision,
    most: float,
    record_property: Callable[[str, float], None],
) -> None:
    rounded = from_table(images, tmp_path / "features", precision)
    difference = float(np.abs(rounded / fresh - 1).max())
    record_property("largest relative difference of a loss", difference)
    assert 0 < difference < most
