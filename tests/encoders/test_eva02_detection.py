"""The EVA-02 detection backbone, checked against the published architecture written out in NumPy, window by window."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from opabinia.encoders import catalogue
from opabinia.encoders.backbones import eva02_detection
from opabinia.encoders.backbones.eva02_detection import Eva02Detection
from opabinia.encoders.loading import load_encoder

SMALL: dict[str, Any] = {
    "width": 16, "depth": 4, "heads": 2, "hidden": 10, "patch": 4, "window": 2, "pretrained_side": 3, "rotary_side": 2
}  # fmt: skip
Array = np.ndarray


def _network() -> Eva02Detection:
    torch.manual_seed(0)
    network = Eva02Detection(**SMALL)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return network.eval()


def _pixels(side: int) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def _normalised(tokens: Array, state: dict[str, Array], name: str) -> Array:
    centred = tokens - tokens.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]


def _linear(tokens: Array, state: dict[str, Array], name: str) -> Array:
    return tokens @ state[f"{name}.weight"].T + state.get(f"{name}.bias", 0)


def _turned(vector: Array, row: int, column: int, side: int) -> Array:
    """Neighbouring channels as one complex number, turned by the place of the cell among the two cells of pretraining."""
    pairs = vector[0::2] + 1j * vector[1::2]
    quarter = len(pairs) // 2
    speeds = 10000.0 ** -(np.arange(quarter) / quarter)
    angles = np.concatenate([row / side * 2 * speeds, column / side * 2 * speeds])
    turned = pairs * np.exp(1j * angles)
    return np.stack([turned.real, turned.imag], axis=-1).reshape(-1)


def _attended(window: Array, state: dict[str, Array], name: str) -> Array:
    """[side, side, width] -> the same, every cell attending to all of the window."""
    side, width = window.shape[0], window.shape[2]
    cells = [(row, column) for row in range(side) for column in range(side)]
    heads = []
    for head in range(2):
        own = slice(head * width // 2, (head + 1) * width // 2)
        queries, keys, values = [], [], []
        for row, column in cells:
            token = window[row, column]
            queries.append(
                _turned((_linear(token, state, f"{name}.q_proj") + state[f"{name}.q_bias"])[own], row, column, side)
            )
            keys.append(_turned(_linear(token, state, f"{name}.k_proj")[own], row, column, side))
            values.append((_linear(token, state, f"{name}.v_proj") + state[f"{name}.v_bias"])[own])
        scores = np.exp(np.stack(queries) @ np.stack(keys).T / np.sqrt(width // 2))
        heads.append(scores / scores.sum(-1, keepdims=True) @ np.stack(values))
    return _linear(np.concatenate(heads, axis=-1), state, f"{name}.proj").reshape(window.shape)


def _block(cells: Array, state: dict[str, Array], name: str, window: int) -> Array:
    entering, attended = _normalised(cells, state, f"{name}.norm1"), np.empty_like(cells)
    for top in range(0, cells.shape[0], window):
        for left in range(0, cells.shape[1], window):
            part = (slice(top, top + window), slice(left, left + window))
            attended[part] = _attended(entering[part], state, f"{name}.attn")
    cells = cells + attended
    entering = _normalised(cells, state, f"{name}.norm2")
    gate, value = (_linear(entering, state, f"{name}.mlp.{part}") for part in ("w1", "w2"))
    hidden = _normalised(gate / (1 + np.exp(-gate)) * value, state, f"{name}.mlp.ffn_ln")
    return cells + _linear(hidden, state, f"{name}.mlp.w3")


def _cubic(distance: Array) -> Array:
    """Keys' kernel with a = -0.75, as the published code's library has it."""
    far, a = np.abs(distance), -0.75
    inner = (a + 2) * far**3 - (a + 3) * far**2 + 1
    outer = a * far**3 - 5 * a * far**2 + 8 * a * far - 4 * a
    return np.where(far <= 1, inner, np.where(far < 2, outer, 0))


def _positions(table: Array, side: int) -> Array:
    """[1, 1 + n * n, width] -> [side, side, width], bicubic, without the class token's."""
    old = round((table.shape[1] - 1) ** 0.5)
    weights = np.zeros((side, old))
    for target in range(side):
        place = (target + 0.5) * old / side - 0.5
        for source in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            weights[target, np.clip(source, 0, old - 1)] += _cubic(np.array(place - source))
    return np.einsum("yi,ijc,xj->yxc", weights, table[0, 1:].reshape(old, old, -1), weights)


def _expected(network: Eva02Detection, pixels: Tensor) -> Array:
    state = {name: weight.double().numpy() for name, weight in network.state_dict().items()}
    maps = []
    for picture in pixels.double().numpy():
        side = picture.shape[1] // 4
        patches = picture.reshape(3, side, 4, side, 4)
        cells = np.einsum("cyixj,dcij->yxd", patches, state["patch_embed.proj.weight"]) + state["patch_embed.proj.bias"]
        cells = cells + _positions(state["pos_embed"], side)
        for index in range(4):
            cells = _block(cells, state, f"blocks.{index}", side if index == 2 else 2)
        maps.append(cells.transpose(2, 0, 1))
    return np.stack(maps)


@pytest.mark.parametrize("side", [8, 16, 24])
@torch.no_grad()
def test_blocks_attend_in_windows_but_every_third_to_the_whole_map(side: int) -> None:
    network, pixels = _network(), _pixels(side)
    np.testing.assert_allclose(network(pixels).numpy(), _expected(network, pixels), atol=2e-4, rtol=1e-4)


def test_the_published_sizes_and_names() -> None:
    with torch.device("meta"):
        network = Eva02Detection()
    shapes = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
    block = {
        "attn.q_proj.weight": (1024, 1024), "attn.k_proj.weight": (1024, 1024), "attn.v_proj.weight": (1024, 1024),
        "attn.q_bias": (1024,), "attn.v_bias": (1024,), "attn.proj.weight": (1024, 1024), "attn.proj.bias": (1024,),
        "mlp.w1.weight": (2730, 1024), "mlp.w1.bias": (2730,), "mlp.w2.weight": (2730, 1024), "mlp.w2.bias": (2730,),
        "mlp.ffn_ln.weight": (2730,), "mlp.ffn_ln.bias": (2730,), "mlp.w3.weight": (1024, 2730), "mlp.w3.bias": (1024,),
        "norm1.weight": (1024,), "norm1.bias": (1024,), "norm2.weight": (1024,), "norm2.bias": (1024,),
    }  # fmt: skip
    ends = {
        "pos_embed": (1, 197, 1024),
        "patch_embed.proj.weight": (1024, 3, 16, 16),
        "patch_embed.proj.bias": (1024,),
    }
    assert shapes == ends | {f"blocks.{i}.{name}": shape for i in range(24) for name, shape in block.items()}


@pytest.fixture
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a detector's checkpoint and loads the encoder from it, at small size."""
    entry = replace(
        catalogue.CATALOGUE["eagle/eva02-det-1024"], input_size=16, shared_size=None, patch=4, grid=4, width=16
    )
    monkeypatch.setattr(eva02_detection, "Eva02Detection", partial(Eva02Detection, **SMALL))

    def given(checkpoint: dict[str, Any]) -> Any:
        torch.save(checkpoint, tmp_path / "detector.pth")
        monkeypatch.setitem(catalogue.CATALOGUE, entry.id, replace(entry, weights=str(tmp_path / "detector.pth")))
        return load_encoder(entry.id)

    return given


def _in_detector(network: Eva02Detection) -> dict[str, Tensor]:
    backbone = {f"backbone.net.{name}": weight for name, weight in network.state_dict().items()}
    rope = {
        "backbone.net.rope_win.freqs_cos": torch.zeros(4, 8),
        "backbone.net.blocks.0.attn.rope.freqs_sin": torch.zeros(4, 8),
    }
    return backbone | rope | {"backbone.simfp_2.0.weight": torch.zeros(3), "roi_heads.mask_head.weight": torch.zeros(3)}


@pytest.mark.parametrize("averaged", [True, False])
@torch.no_grad()
def test_the_backbone_is_taken_out_of_a_detector_averaged_weights_first(detector: Any, averaged: bool) -> None:
    trained, average = _network(), _network()
    average.pos_embed += 1
    checkpoint = {"model": _in_detector(trained)} | ({"ema_state": _in_detector(average)} if averaged else {})
    features = detector(checkpoint)(_pixels(16))
    expected = (average if averaged else trained)(_pixels(16)).flatten(2).transpose(1, 2)
    torch.testing.assert_close(features, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks.1.attn.q_bias": None}, r"missing blocks\.1\.attn\.q_bias"),
        ({"blocks.9.norm1.weight": torch.zeros(16)}, r"unexpected backbone\.net\.blocks\.9\.norm1\.weight"),
        (
            {"pos_embed": torch.zeros(1, 17, 16)},
            r"backbone\.net\.pos_embed has shape \[1, 17, 16\], expected \[1, 10, 16\]",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(detector: Any, change: dict[str, Tensor | None], message: str) -> None:
    state = _in_detector(_network()) | {f"backbone.net.{name}": weight for name, weight in change.items()}
    with pytest.raises(ValueError, match=rf"eagle/eva02-det-1024: .* {message}"):
        detector({"model": {name: weight for name, weight in state.items() if weight is not None}})


def test_a_checkpoint_that_would_run_code_is_not_read(detector: Any) -> None:
    with pytest.raises(
        ValueError, match=r"eagle/eva02-det-1024: weights .* cannot be loaded: Weights only load failed"
    ):
        detector({"model": _in_detector(_network()), "hook": Path("anything")})
