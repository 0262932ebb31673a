"""Real handwritten digits: the 1,797 samples of 8 x 8 pixels that scikit-learn bundles (UCI optical recognition set)."""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Split = Literal["train", "heldout"]

HELDOUT_EVERY = 5
"""Every fifth sample is kept for the benchmark and never drawn in training scenes."""


@cache
def _bundle() -> Any:
    from sklearn import datasets  # pyright: ignore[reportMissingTypeStubs]

    library: Any = datasets
    return library.load_digits()


def glyph(sample: int) -> NDArray[np.uint8]:
    """The sample's ink as [8, 8] coverage in 0..255."""
    ink = _bundle().images[sample]
    return (ink * (255 / 16)).astype("uint8")


def draw_digit(rng: random.Random, split: Split) -> tuple[int, int]:
    """A digit's value and sample index, uniform over the samples of the split."""
    sample = rng.choice(_samples(split))
    return int(_bundle().target[sample]), sample


@cache
def _samples(split: Split) -> tuple[int, ...]:
    heldout = split == "heldout"
    return tuple(index for index in range(len(_bundle().target)) if (index % HELDOUT_EVERY == 0) == heldout)
