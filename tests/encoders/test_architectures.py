"""Every entry whose weights are elsewhere, built in full on the meta device: grid, channels and parameters are as stated."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from opabinia.encoders.backbones import clip_models, timm_models
from opabinia.encoders.catalogue import CATALOGUE, EncoderEntry
from opabinia.encoders.loading import READERS
from opabinia.encoders.reading import grid_from_maps
from tests.encoders import own_architectures, transformers_configs

BUILDERS = {
    "timm": timm_models.build, "open_clip": clip_models.build, "transformers": transformers_configs.build,
    "python": own_architectures.build,
}  # fmt: skip
REMOTE = [entry for entry in CATALOGUE.values() if not entry.weights.startswith("package:")]


def test_the_study_of_cambrian_is_complete() -> None:
    study = [entry for entry in REMOTE if entry.id.startswith("cambrian/") and "/sva-" not in entry.id]
    assert len(study) == 23


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def _masks_without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers looks whether a mask hides anything (Pix2Struct's hides nothing); the meta device has no values to look at."""
    monkeypatch.setattr("transformers.masking_utils._ignore_bidirectional_mask_sdpa", lambda *_, **__: True)


@pytest.mark.usefixtures("_masks_without_values")
@pytest.mark.parametrize("entry", REMOTE, ids=lambda entry: entry.id)
def test_an_architecture_gives_what_its_entry_states(entry: EncoderEntry) -> None:
    with torch.device("meta"):
        network = BUILDERS[entry.library](entry).eval()
        pixels = torch.zeros(1, 3, entry.input_size, entry.input_size)
    maps = READERS[entry.library].maps(network, pixels, entry)
    assert maps[-1].shape[2:] == (entry.native_grid, entry.native_grid)
    features = grid_from_maps(maps, entry)
    assert features.shape == (1, entry.grid**2, entry.width)
    assert _parameters_behind(features, network) == entry.parameters


def _parameters_behind(features: Tensor, network: nn.Module) -> int:
    """Parameters that the features depend on, found by differentiating them."""
    parameters = list(network.parameters())
    gradients = torch.autograd.grad(features.sum(), parameters, allow_unused=True)
    return sum(p.numel() for p, gradient in zip(parameters, gradients, strict=True) if gradient is not None)


@pytest.mark.parametrize("entry", [e for e in REMOTE if e.weights.startswith("timm/")], ids=lambda entry: entry.id)
def test_a_timm_entry_agrees_with_the_configuration_that_timm_publishes(entry: EncoderEntry) -> None:
    from timm.models import get_pretrained_cfg

    published = get_pretrained_cfg(entry.model or entry.weights.removeprefix("timm/"))
    assert published is not None
    assert published.hf_hub_id == entry.weights
    assert (published.mean, published.std) == (entry.mean, entry.std)
    with torch.device("meta"):
        network = timm_models.build(entry)
    kept = getattr(network, "num_prefix_tokens", 0)
    assert kept == (0 if entry.classless else entry.leading_tokens)


@pytest.mark.parametrize("entry", [e for e in REMOTE if e.library == "open_clip"], ids=lambda entry: entry.id)
def test_an_open_clip_entry_names_weights_that_open_clip_lists_for_the_architecture(entry: EncoderEntry) -> None:
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    tags = [get_pretrained_cfg(entry.model, tag) for tag in list_pretrained_tags_by_model(entry.model)]
    assert f"{entry.weights}/" in [tag["hf_hub"] for tag in tags]
    assert {(tag["mean"], tag["std"]) for tag in tags if tag["hf_hub"] == f"{entry.weights}/"} == {
        (entry.mean, entry.std)
    }
