"""Pseudo-random 64-bit numbers from 64-bit numbers, a whole array at once and the same on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
"""An array of 64-bit numbers."""

STEP = np.uint64(0x9E3779B97F4A7C15)
"""Added once per draw, it makes a sequence of different numbers out of one; 2^64 divided by the golden ratio."""


def scramble(words: Words) -> Words:
    """One different, evenly spread number for each number: the finaliser of SplitMix64 (Steele et al. 2014), a bijection."""
    words = words + STEP
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
