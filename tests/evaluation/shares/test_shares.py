"""Encoders' shares of every question, of real models whose connectors are untrained, and their means by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from connectors.settings.mlp import MlpSettings
from connectors.settings.routed_sum import RoutedSumSettings
from connectors.settings.sequence_append import SequenceAppendSettings
from connectors.settings.sva import SvaSettings
from opabinia.evaluation.shares.shares import EncoderShares, encoder_shares
from opabinia.evaluation.shares.shares_file import load_shares, save_shares
from opabinia.evaluation.shares.shares_table import render_shares
from opabinia.models.answering import ModelAnswerer, Prompt
from opabinia.models.connector_config import ConnectorConfig
from tests.evaluation.specimens import question
from tests.models.small import ENCODERS, random_features, small_model, tokenizer

TEXTS = ("what colour is the circle ?", "how many is 1 plus 1 ?", "is there a circle in the picture ?")
ASKED = [
    replace(
        question(n, family="general" if n < 3 else "knowledge", image=None if n == 1 else f"{n}.png"),
        question=TEXTS[n % 3],
    )
    for n in range(5)
]
PICTURED = [one for one in ASKED if one.image]


def features(prompts: Sequence[Prompt]) -> list[Tensor]:
    """Noise of its own for each picture, which says by its red which it is."""
    found = [random_features(1, seed=prompt.image.getpixel((0, 0))[0]) for prompt in prompts if prompt.image]  # type: ignore[index]
    return [torch.cat(of) for of in zip(*found, strict=True)]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for n in range(5):
        Image.new("RGB", (4, 4), (n, 0, 0)).save(tmp_path / f"{n}.png")
    return tmp_path


def answerer(connector: ConnectorConfig) -> ModelAnswerer:
    return ModelAnswerer(small_model(connector), tokenizer(), features)


@pytest.mark.parametrize(
    ("connector", "kind", "places"),
    [
        (SvaSettings(queries=16), "attention", ["group 0 layer 0", "LLM layer 0", "LLM layer 1"]),
        (MlpSettings(queries=16), "weights", ["connector"]),
        (RoutedSumSettings(queries=16), "router", ["connector"]),
    ],
    ids=["sva", "mlp", "routed_sum"],
)
def test_every_question_with_a_picture_has_shares_that_sum_to_one_in_any_batches(
    images: Path, connector: ConnectorConfig, kind: str, places: list[str]
) -> None:
    asked = answerer(connector)
    shares = encoder_shares(asked, ASKED, images, batch=2)
    assert (shares.kind, shares.encoders, list(shares.questions)) == (kind, ENCODERS, PICTURED)
    assert list(shares.places) == places
    for of_questions in shares.places.values():
        assert [sum(row) for row in of_questions] == pytest.approx([1.0] * 4, abs=1e-6)
        assert len({tuple(round(share, 4) for share in row) for row in of_questions}) == 4
    together = encoder_shares(asked, ASKED, images, batch=5)
    for place in places:
        for row, other in zip(shares.places[place], together.places[place], strict=True):
            assert row == pytest.approx(other, abs=1e-5)


def test_a_routers_shares_are_those_of_the_question_that_it_heard(images: Path) -> None:
    asked = answerer(RoutedSumSettings(queries=16))
    same_picture = [replace(PICTURED[0], id="1"), replace(PICTURED[0], id="2", question=TEXTS[2])]
    one, other = encoder_shares(asked, same_picture, images).places["connector"]
    assert one != pytest.approx(other, abs=1e-4)


def test_a_connector_that_weighs_nothing_says_so(images: Path) -> None:
    with pytest.raises(ValueError, match="sequence_append does not weigh encoders against each other"):
        encoder_shares(answerer(SequenceAppendSettings(queries=16)), PICTURED[:1], images)


def test_without_pictures_there_is_nothing_to_share(images: Path) -> None:
    with pytest.raises(ValueError, match="no question has a picture"):
        encoder_shares(answerer(MlpSettings(queries=16)), [ASKED[1]], images)


BY_HAND = EncoderShares(
    "attention",
    ("house/a", "house/b"),
    (PICTURED[0], PICTURED[1], PICTURED[2]),
    {"group 0 layer 0": ((0.9, 0.1), (0.7, 0.3), (0.2, 0.8)), "LLM layer 0": ((0.5, 0.5), (0.3, 0.7), (0.0, 1.0))},
)
"""Two questions of general and one of knowledge."""


def test_means_over_places_and_questions() -> None:
    assert BY_HAND.of_question(0) == pytest.approx((0.7, 0.3))
    assert BY_HAND.of_family("general") == pytest.approx((0.6, 0.4))
    assert BY_HAND.of_family("general", "LLM layer 0") == pytest.approx((0.4, 0.6))
    assert BY_HAND.of_family("knowledge") == pytest.approx((0.1, 0.9))
    assert BY_HAND.families == ("general", "knowledge")


def test_the_table_has_a_row_a_family_and_a_row_a_place() -> None:
    cells = [" ".join(line.split()) for line in render_shares(BY_HAND).splitlines()]
    assert cells[:4] == ["share of a b", "general 60.0 40.0", "knowledge 10.0 90.0", "average 35.0 65.0"]
    # Families count alike: (0.8 + 0.2) / 2 and (0.4 + 0.0) / 2.
    assert cells[5:8] == ["at", "group 0 layer 0 50.0 50.0", "LLM layer 0 20.0 80.0"]
    assert cells[-1].startswith("percent of attention")


def test_the_file_holds_every_question_and_can_be_read_again(tmp_path: Path) -> None:
    save_shares(tmp_path / "shares.json", BY_HAND)
    assert load_shares(tmp_path / "shares.json") == BY_HAND
    written = json.loads((tmp_path / "shares.json").read_text())
    assert written["families"]["general"] == pytest.approx([0.6, 0.4])
    (tmp_path / "shares.json").write_text('{"families": {}}')
    with pytest.raises(ValueError, match=r"shares\.json is damaged at shares; compute the shares again"):
        load_shares(tmp_path / "shares.json")
