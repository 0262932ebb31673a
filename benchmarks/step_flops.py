"""How much arithmetic a step needs, and how much of what the device could do that is (MFU).

The idea is that of Chowdhery et al. 2022 (PaLM, appendix B): operations that the model needs, not those that were done, over the peak
rate times the time. Needed are, with 2 operations a multiplied-and-added pair,

    language model, forward, for each sample of n tokens, s of them supervised:
        2 n P + 2 s V H + 2 n (n + 1) L H      P weights of the layers' matrices, V vocabulary, H width, L layers
    connector, forward and backward, and frozen encoders, forward, for each picture: their matrix products, counted by torch

Backward takes twice as much as forward in what learns. Stricter than the appendix: attention is causal, so half of its scores are not
needed; the head is needed where a token is supervised; padding is never needed, and nothing counts twice that is computed twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from step_records import Records
from step_sizes import Size, build_encoders, build_model
from torch.utils.flop_counter import FlopCounterMode

from opabinia.models.multimodal import MultimodalModel

_TERA = 1e12
# bfloat16 without sparsity, TFLOP/s, by what the device's name contains; the first that fits. NVIDIA's data sheets: H200 (2024),
# H100 (2023; PCIe and NVL are slower), A100 (2021).
_PEAKS = {"H200 NVL": 835, "H200": 989, "H100 PCIe": 756, "H100 NVL": 835, "H100": 989, "A100": 312}


@dataclass(frozen=True, slots=True)
class Needed:
    """Operations for all records once: forward and backward of what learns, and forward of the frozen encoders."""

    learning: float
    encoding: float


def peak_rate(device_name: str) -> float | None:
    """Operations a second in bfloat16; None where it is not known."""
    return next((peak * _TERA for name, peak in _PEAKS.items() if name in device_name), None)


def needed(size: Size, records: Records) -> Needed:
    llm = 3 * language_model_forward(size, records.lengths.tolist(), records.supervised)
    return Needed(learning=llm + records.pictures * _of_connector(size), encoding=records.pictures * _of_encoders(size))


def language_model_forward(size: Size, lengths: list[int], supervised: int) -> float:
    """Of samples of these lengths with so many supervised tokens in all."""
    shape = size.language_model
    width, layers, heads = shape["hidden_size"], shape["num_hidden_layers"], shape["num_attention_heads"]
    keys = width // heads * shape["num_key_value_heads"]
    matrices = layers * (2 * width**2 + 2 * width * keys + 3 * width * shape["intermediate_size"])
    attention = 2 * layers * width * sum(length * (length + 1) for length in lengths)
    return 2 * matrices * sum(lengths) + 2 * supervised * shape["vocab_size"] * width + attention


def _of_connector(size: Size) -> float:
    """Forward and backward for one picture, with what is read again inside the language model."""
    return counted(lambda: _connect(build_model(size, "meta"), size.language_model["hidden_size"]))


def _connect(model: MultimodalModel, width: int) -> None:
    connector = model.connector
    features = [torch.randn(1, grid.side**2, grid.width, device="meta") for grid in model.grids]
    visual = connector(features)
    total = visual.tokens.sum()
    for layer in connector.inner_layers:
        assert visual.context is not None
        hidden = torch.randn(connector.queries, width, device="meta", requires_grad=True)
        total = total + connector.reread(layer, hidden, visual.context).sum()
    total.backward()


def _of_encoders(size: Size) -> float:
    """Forward for one picture."""
    encoders = build_encoders(size, "meta", torch.float32)
    sides = [entry.input_size for entry in size.encoders]
    shown = [torch.zeros(1, 3, side, side, device="meta") for side in sides]
    return counted(lambda: [encoder(pixels) for encoder, pixels in zip(encoders, shown, strict=True)])


def counted(run: Callable[[], Any]) -> float:
    """Operations of the matrix products, convolutions and attention in it."""
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())
