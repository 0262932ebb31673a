"""Measure how far the pixels that training streams are from the exact path of evaluation, and what encoders make of that.

    .venv/bin/python benchmarks/pixel_errors.py

Photographs are decoded and resized exactly (every pixel, Pillow) and as the stream may do it: quickly, quickly after a reduced decode
that keeps MARGIN times the encoder's input a side, and quickly after standing a picture upright, which Pillow 13 resizes columns
first. Pixels differ by so many of 255 levels, features by a share of their norm; for comparison, what storing features in bfloat16
costs, and computing them in it. The encoders are Burgess's and a ViT-B/16 with random weights. Writes docs/results/pixel_errors.json.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from photographs import photograph
from PIL import Image
from torch import Tensor

from opabinia.encoders.entry import EncoderEntry
from opabinia.encoders.fitting import Pixels, fitted, fitting_of
from opabinia.encoders.loading import load_encoder
from opabinia.encoders.pixels import pixels_of
from opabinia.encoders.preprocessing import normalised
from opabinia.encoders.resizing import resize_exactly, resize_quickly

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results" / "pixel_errors.json"
MARGINS = (1, 1.5, 2, 3, 4)
_PICTURES = 8
_BURGESS = ("burgess/caption-vit", "burgess/mim-vit", "burgess/dense-convnext")

Encode = Callable[[Tensor], Tensor]


def main() -> None:
    results: dict[str, Any] = {}
    with torch.inference_mode():
        for name in _BURGESS:
            encoder = load_encoder(name)
            results[name] = _errors(encoder.entry, encoder) | {"computed in bfloat16": _in_bfloat16(encoder)}
            print(name, json.dumps(results[name], indent=1), flush=True)
        name, (entry, encode) = "ViT-B/16 at 224, random weights", _random_vit()
        results[name] = _errors(entry, encode)
        print(name, json.dumps(results[name], indent=1), flush=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def _errors(entry: EncoderEntry, encode: Encode) -> dict[str, Any]:
    upright = _files(int(1.25 * entry.input_size), upright=True)
    found: dict[str, Any] = {
        "quick": _compared(entry, encode, _files(4 * entry.input_size), scale=1),
        "quick, upright": _compared(entry, encode, upright, scale=1),
    }
    for margin in MARGINS:
        files = _files(int(2 * margin * entry.input_size))
        found[f"reduced to {margin} times the input"] = _compared(entry, encode, files, scale=2)
    features = encode(_exact(entry, upright))
    return found | {"stored in bfloat16": _distance(features.bfloat16().float(), features)}


def _compared(entry: EncoderEntry, encode: Encode, files: list[bytes], scale: int) -> dict[str, float]:
    exact = _squares(entry, files, 1, resize_exactly)
    streamed = _squares(entry, files, scale, resize_quickly)
    levels = np.abs(exact.astype(int) - streamed)
    features = [encode(normalised(torch.from_numpy(squares), entry)) for squares in (streamed, exact)]
    return {
        "levels, mean": round(float(levels.mean()), 4),
        "levels, most": int(levels.max()),
        "features": _distance(*features),
    }


def _exact(entry: EncoderEntry, files: list[bytes]) -> Tensor:
    return normalised(torch.from_numpy(_squares(entry, files, 1, resize_exactly)), entry)


def _squares(
    entry: EncoderEntry, files: list[bytes], scale: int, resize: Callable[[Pixels, int, int], Pixels]
) -> Pixels:
    """[pictures, side, side, 3]; decoded at 1 / scale a side."""
    return np.stack([fitted(_decoded(content, scale), fitting_of(entry), resize) for content in files])


def _decoded(content: bytes, scale: int) -> Pixels:
    image = Image.open(BytesIO(content))
    image.draft(None, (image.width // scale, image.height // scale))
    return pixels_of(image)


def _files(shorter: int, *, upright: bool = False) -> list[bytes]:
    # Whole blocks of the JPEG, so that half a side is exactly half.
    shorter, longer = shorter // 16 * 16, shorter * 4 // 3 // 16 * 16
    size = (shorter, longer) if upright else (longer, shorter)
    return [photograph(seed, *size) for seed in range(_PICTURES)]


def _random_vit() -> tuple[EncoderEntry, Encode]:
    torch.manual_seed(0)
    vit: Any = timm.create_model("vit_base_patch16_224", pretrained=False).eval()
    entry = replace(load_encoder(_BURGESS[1]).entry, input_size=224)
    return entry, lambda pixels: vit.forward_features(pixels)[:, 1:]


def _in_bfloat16(encoder: Any) -> float:
    pixels = _exact(encoder.entry, _files(4 * encoder.entry.input_size))
    features = encoder(pixels)
    return _distance(encoder.bfloat16()(pixels).float(), features)


def _distance(given: Tensor, expected: Tensor) -> float:
    return round(((given - expected).norm() / expected.norm()).item(), 5)


if __name__ == "__main__":
    main()
