"""The pictures that vision encoders are pretrained on, and their dense ground truth."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from opabinia.burgess.handwriting import Split
from opabinia.burgess.render import bar_box, render, thing_outline
from opabinia.burgess.scenes import FARTHEST, FOCAL, HORIZON, SIDE, Scene, sample_scene
from opabinia.burgess.vocabulary import SHAPES

DENSE_GRID = 16
"""Side of the grid on which kinds and depths are known."""
KINDS = ("background", *SHAPES, "bar", *(f"digit {value}" for value in range(10)))
_STRIDE = SIDE // DENSE_GRID


@dataclass(frozen=True, slots=True)
class Pictures:
    """`pixels: [pictures, 3, side, side]` uint8, with the scenes they show."""

    scenes: list[Scene]
    pixels: torch.Tensor

    def batch(self, indices: torch.Tensor) -> torch.Tensor:
        """`[batch, 3, side, side]` in -1..1."""
        return self.pixels[indices].float() / 127.5 - 1


def draw_pictures(count: int, seed: str, side: int, split: Split = "train") -> Pictures:
    """Render `count` scenes and resize them to `side` pixels as an encoder's preprocessing would."""
    scenes: list[Scene] = []
    pixels = np.empty((count, side, side, 3), np.uint8)
    for index in range(count):
        rng = random.Random(f"{seed}-{index}")
        scene = sample_scene(rng, split)
        pixels[index] = np.asarray(render(scene, rng).resize((side, side), Image.Resampling.BICUBIC))
        scenes.append(scene)
    return Pictures(scenes, torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous())


def kind_map(scene: Scene) -> NDArray[np.uint8]:
    """Which of `KINDS` covers each point of the dense grid: [16, 16]."""
    canvas = Image.new("L", (SIDE, SIDE), 0)
    draw = ImageDraw.Draw(canvas)
    for thing in scene.things:
        draw.polygon(thing_outline(thing), fill=KINDS.index(thing.shape))
    for digit in scene.digits:
        half = digit.side * 0.35
        box = (digit.x - half, digit.y - half, digit.x + half, digit.y + half)
        draw.rectangle(box, fill=KINDS.index(f"digit {digit.value}"))
    for bar in scene.bars:
        draw.rectangle(bar_box(bar), fill=KINDS.index("bar"))
    return _sampled(canvas)


def depth_map(scene: Scene) -> NDArray[np.float32]:
    """Inverse depth at each point of the dense grid, 1 nearest, 0 infinitely far; all zero where the scene is flat: [16, 16]."""
    canvas = Image.new("F", (SIDE, SIDE), 0.0)
    if scene.kind != "room":
        return _sampled(canvas)
    draw = ImageDraw.Draw(canvas)
    for y in range(int(HORIZON) + 1, SIDE):
        draw.line(((0, y), (SIDE, y)), fill=max(1 / FARTHEST, min(1.0, (y - HORIZON) / FOCAL)))
    for thing in scene.things:
        draw.polygon(thing_outline(thing), fill=1 / thing.depth)
    return _sampled(canvas)


def _sampled(canvas: Image.Image) -> NDArray[Any]:
    return np.asarray(canvas)[_STRIDE // 2 :: _STRIDE, _STRIDE // 2 :: _STRIDE].copy()
