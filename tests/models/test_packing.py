"""Several samples in one row are trained on exactly as they would be in rows of their own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from connectors.padding import ImageSize
from connectors.settings.mlp import MlpSettings
from connectors.settings.routed_sum import RoutedSumSettings
from connectors.settings.sva import SvaSettings
from opabinia.data.collate import TextBatch
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.models.attention import apart
from opabinia.models.connector_config import ConnectorConfig
from opabinia.models.head import head_of
from opabinia.models.loss import chunked_next_token_loss
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.multimodal_config import ModelConfig
from opabinia.models.places import StaticShape, pad_pictures, place
from opabinia.models.samples import check_packing, positions_in_samples
from tests.models.small import ENCODERS, LANGUAGE_MODEL, random_features, small_model
from tests.models.test_decoders import FAMILIES, features, model_of

Sample = tuple[list[int], int]
"""Token ids, and how many of the last of them are supervised."""

# No picture, one, several; a picture first; a sample of one token; one whose every token is supervised.
SAMPLES: tuple[Sample, ...] = (
    ([1, 4, IMAGE_TOKEN, 30, 31, 5, 40], 2),
    ([8, 9, 10, 11], 4),
    ([IMAGE_TOKEN, 12, IMAGE_TOKEN, 13, 14, 15], 3),
    ([7], 1),
    ([IMAGE_TOKEN, 21, 22, 23], 1),
    ([1, 33, 34, 35, 36, 37, 38, 39], 5),
    ([20, 21, IMAGE_TOKEN, 22, 23], 2),
)
ROWS = (SAMPLES[:4], SAMPLES[4:6], SAMPLES[6:])
IMAGES = 5
SIZES: list[ImageSize] = [(64, 64), (64, 20), (20, 64), (50, 64), (64, 33)]
CONNECTORS: tuple[ConnectorConfig, ...] = (MlpSettings(), SvaSettings(in_llm_count=3), RoutedSumSettings())
KINDS = [
    (family, attention)
    for family in FAMILIES
    for attention in ("eager", "sdpa")
    if (family, attention) != ("gemma2", "sdpa")
]


def batch_of(rows: Sequence[Sequence[Sample]]) -> dict[str, Tensor]:
    """What the model takes for rows of samples, padded on the right."""

    def padded(numbers: list[list[int]], value: int) -> Tensor:
        return pad_sequence([torch.tensor(row) for row in numbers], batch_first=True, padding_value=value)

    samples = padded([[n for n, (ids, _) in enumerate(row, 1) for _ in ids] for row in rows], 0)
    return {
        "input_ids": padded([[token for ids, _ in row for token in ids] for row in rows], 0),
        "labels": padded([[label for sample in row for label in labels_of(sample)] for row in rows], IGNORE),
        "attention_mask": samples > 0,
        "samples": samples,
    }


def alone(samples: Sequence[Sample]) -> dict[str, Any]:
    return {**batch_of([[sample] for sample in samples]), "samples": None}


def labels_of(sample: Sample) -> list[int]:
    ids, supervised = sample
    return [IGNORE] * (len(ids) - supervised) + ids[len(ids) - supervised :]


def visual_labels(sample: Sample, queries: int) -> Tensor:
    """Labels once every picture has become `queries` tokens."""
    pairs = zip(sample[0], labels_of(sample), strict=True)
    return torch.tensor([out for token, label in pairs for out in ([label], [IGNORE] * queries)[token == IMAGE_TOKEN]])


def token_losses(model: MultimodalModel, batch: dict[str, Any], grids: list[Tensor], rows: Any) -> list[Tensor]:
    """Per sample the loss of each of its supervised tokens but the first of all, cut out of the rows' logits."""
    logits, found = model(**batch, features=grids).logits, list[Tensor]()
    for row, samples in zip(logits, rows, strict=True):
        labels = [visual_labels(sample, model.connector.queries) for sample in samples]
        for label, (start, stop) in zip(labels, pairwise(accumulate(map(len, labels), initial=0)), strict=True):
            of_sample, kept = row[start : stop - 1], label[1:] != IGNORE
            found.append(functional.cross_entropy(of_sample[kept], label[1:][kept], reduction="none"))
    return found


@pytest.mark.parametrize(("family", "attention"), KINDS)
@torch.no_grad()
def test_every_family_of_decoders_gives_each_token_of_packed_rows_the_loss_it_has_alone(
    family: str, attention: str
) -> None:
    """The connector acts inside the language model too; windows of 8 are shorter than a picture, samples longer than a window."""
    model = model_of(family)
    model.language_model.set_attn_implementation(attention)  # type: ignore[operator]
    grids = features(IMAGES)
    packed = token_losses(model, batch_of(ROWS), grids, ROWS)
    expected = token_losses(model, alone(SAMPLES), grids, [[sample] for sample in SAMPLES])
    assert sum(map(len, packed)) == 2 + 3 + 3 + 0 + 1 + 5 + 2
    for found, own in zip(packed, expected, strict=True):
        torch.testing.assert_close(found, own, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.type)
def test_loss_and_every_gradient_are_those_of_rows_of_their_own(connector: ConnectorConfig) -> None:
    model = small_model(connector)
    grids = random_features(IMAGES)
    gradients: list[dict[str, Tensor]] = []
    losses: list[Tensor] = []
    for batch in (batch_of(ROWS), alone(SAMPLES)):
        model.zero_grad()
        loss = model(**batch, features=grids).loss
        loss.backward()
        losses.append(loss.detach())
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=0)
    assert gradients[0].keys() == gradients[1].keys() and any(name.startswith("connector") for name in gradients[0])
    for name, gradient in gradients[0].items():
        scale = float(gradients[1][name].abs().max())
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-5 * scale, msg=name)


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.type)
@torch.no_grad()
def test_changing_a_sample_changes_no_bit_of_the_others(connector: ConnectorConfig) -> None:
    model = small_model(connector).eval()
    grids = random_features(IMAGES)
    batch = batch_of([SAMPLES])
    before = model(**batch, features=grids).logits[0]
    changed = [grid.clone() for grid in grids]
    for grid in changed:
        grid[1:3] += 1
    ids = batch["input_ids"].clone()
    first = sum(len(sample) for sample, _ in SAMPLES[:2])
    ids[0, first + 3] += 40
    after = model(**{**batch, "input_ids": ids}, features=changed).logits[0]
    lengths = [len(visual_labels(sample, model.connector.queries)) for sample in SAMPLES]
    same = [torch.equal(*parts) for parts in zip(before.split(lengths), after.split(lengths), strict=True)]
    assert same == [True, True, False, True, True, True, True]


@torch.no_grad()
def test_layers_inside_the_language_model_read_each_pictures_own_grid() -> None:
    """With one picture's grid changed for those layers only, its sample alone changes, from the picture on."""
    model = small_model(SvaSettings(in_llm_count=3)).eval()
    places = place(TextBatch(**batch_of([SAMPLES]), images=[], image_keys=[]), model.layout)
    embeddings, inner = model.embed(places, random_features(IMAGES))
    assert inner is not None
    of_second = inner.context.image_of == 1

    def logits() -> Tensor:
        attention = apart(model.language_model, embeddings, places.samples)
        step = {"inputs_embeds": embeddings, "position_ids": places.position_ids, **attention}
        return model.language_model(**step, inner_visual=inner).logits[0]

    before = logits()
    for window in inner.context.windows:
        window[of_second] += 1
    moved = (before != logits()).any(-1).nonzero().flatten()
    lengths = [len(visual_labels(sample, model.connector.queries)) for sample in SAMPLES]
    start = sum(lengths[:2])
    assert moved.tolist() == list(range(start, start + lengths[2]))


@torch.no_grad()
def test_pictures_with_separated_rows_pack_as_well() -> None:
    torch.manual_seed(0)
    config = ModelConfig(encoders=ENCODERS, connector=SvaSettings(), language_model=LANGUAGE_MODEL, row_separator=True)
    model = MultimodalModel(config, small_model(MlpSettings()).language_model).eval()
    grids = random_features(IMAGES)
    packed, own = (model(**batch, features=grids, image_sizes=SIZES).loss for batch in (batch_of(ROWS), alone(SAMPLES)))
    torch.testing.assert_close(packed, own, rtol=1e-5, atol=0)


@pytest.mark.parametrize("separated", [False, True], ids=["whole grids", "separated rows"])
def test_static_shapes_and_blank_pictures_change_neither_loss_nor_any_gradient(separated: bool) -> None:
    torch.manual_seed(0)
    connector = SvaSettings(in_llm_count=3)
    config = ModelConfig(encoders=ENCODERS, connector=connector, language_model=LANGUAGE_MODEL, row_separator=separated)
    model = MultimodalModel(config, small_model(MlpSettings()).language_model)
    batch, grids = TextBatch(**batch_of(ROWS), images=[], image_keys=[]), random_features(IMAGES)
    sizes = SIZES if separated else None
    values: list[dict[str, Tensor]] = []
    for shape in (None, StaticShape(100, 4, packed=True)):
        model.zero_grad()
        places = place(batch, model.layout, shape, sizes)
        hidden = model.hidden(places, pad_pictures(grids, places, [torch.zeros_like(grid[0]) for grid in grids]))
        head = head_of(model.language_model)
        loss, count = chunked_next_token_loss(hidden, head, places.labels, chunk=16, at_most=places.at_most)
        loss.backward()
        assert int(count) == places.supervised
        found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        values.append({"loss": loss.detach(), **found})
    assert values[0].keys() == values[1].keys()
    for name, value in values[0].items():
        scale = float(value.abs().max())
        torch.testing.assert_close(values[1][name], value, rtol=1e-4, atol=1e-5 * scale, msg=name)


@torch.no_grad()
def test_rows_of_one_numbered_sample_each_are_what_they_are_without_numbers() -> None:
    model = small_model(SvaSettings()).eval()
    grids, batch = random_features(IMAGES), batch_of([[sample] for sample in SAMPLES])
    numbered = model(**batch, features=grids).logits
    assert torch.equal(numbered, model(**{**batch, "samples": None}, features=grids).logits)


def test_positions_begin_again_with_each_sample_and_padding_goes_on_counting() -> None:
    samples = torch.tensor([[1, 1, 1, 2, 3, 3, 0, 0], [1] * 8, [0] * 8, [0, 0, 1, 1, 2, 2, 2, 2]])
    assert positions_in_samples(samples).tolist() == [
        [0, 1, 2, 0, 0, 1, 2, 3],
        [*range(8)],
        [*range(8)],
        [0, 1, 0, 1, 0, 1, 2, 3],
    ]


@pytest.mark.parametrize(
    "numbers", [[1, 1, 2, 2, 2], [1, 2, 1, 2, 0], [2, 2, 3, 3, 0], [1, 1, 3, 3, 0], [1, 1, 0, 0, 0]]
)
def test_numbers_of_samples_that_do_not_rise_by_one_or_miss_the_padding_are_refused(numbers: list[int]) -> None:
    mask = torch.tensor([[True, True, True, True, False]])
    with pytest.raises(ValueError, match="samples: number those of each row 1, 2, 3 in their order"):
        small_model(MlpSettings())(torch.tensor([[1, 4, 5, 6, 0]]), [], mask, samples=torch.tensor([numbers]))


def small_decoder(family: str, **fields: Any) -> Any:
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    torch.manual_seed(0)
    shape = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "pad_token_id": 0}
    return AutoModelForCausalLM.from_config(CONFIG_MAPPING[family](**shape, **fields))


@pytest.mark.parametrize(
    ("family", "fields", "reason"),
    [
        ("rwkv", {"attention_hidden_size": 16}, "lets samples of one row see each other"),
        ("bigbird_pegasus", {"encoder_layers": 1, "decoder_layers": 1}, "or where they stand"),
        ("mamba", {"state_size": 4}, "has layers of linear_attention, which mix samples of one row"),
    ],
)
def test_language_models_that_cannot_keep_samples_apart_are_refused(
    family: str, fields: dict[str, Any], reason: str
) -> None:
    """transformers runs all of these, and says nothing of the masks and the positions that it ignores."""
    with pytest.raises(ValueError, match=f"language_model: {family} .*{reason}"):
        check_packing(small_decoder(family, **fields))


@pytest.mark.parametrize(
    ("family", "fields"), [("opt", {"ffn_dim": 32, "word_embed_proj_dim": 16}), ("falcon", {}), ("gpt2", {})]
)
def test_language_models_that_heed_masks_and_positions_are_taken(family: str, fields: dict[str, Any]) -> None:
    check_packing(small_decoder(family, **fields))


def test_a_model_refuses_packed_rows_that_its_language_model_would_mix() -> None:
    model = model_of("llama")
    # As a layer of a researcher's own that heeds no mask would.
    model.language_model.get_decoder().layers[2].self_attn.register_forward_pre_hook(  # type: ignore[operator]
        lambda _layer, args, kwargs: (args, {**kwargs, "attention_mask": None}), with_kwargs=True
    )
    with pytest.raises(ValueError, match="language_model: llama with attention of the kind sdpa lets samples"):
        model(**batch_of(ROWS), features=features(IMAGES))


def test_trying_out_a_language_model_leaves_it_as_it_was() -> None:
    llm = small_decoder("gpt2").train()
    assert llm.config.resid_pdrop > 0
    llm.transformer.h[1].eval()
    modes = [module.training for module in llm.modules()]
    state = torch.get_rng_state()
    with torch.no_grad():
        check_packing(llm)
    assert [module.training for module in llm.modules()] == modes
    assert all(parameter.grad is None for parameter in llm.parameters())
    assert torch.equal(torch.get_rng_state(), state)
