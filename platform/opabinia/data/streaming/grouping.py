"""Batches of samples that are alike, so that little of a batch is padding (modality-aware length grouping, Liu et al. 2023)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opabinia.data.streaming.order import Places, shuffled


def group_by_length(lengths: NDArray[np.int64], pictured: NDArray[np.bool_], batch: int, seed: int) -> Places:
    """A permutation of a window's samples whose runs of `batch` are of similar length and all with pictures or all without.

    lengths, pictured: [samples], tokens in the language model and whether there is a picture. What fills no run of its own kind
    makes a mixed run, and what then fills none stands last, so let windows be whole batches. The runs' order and the order of
    equal lengths depend on `seed` alone; within a run lengths rise.
    """
    order = _by_length(shuffled(len(lengths), seed, "samples"), lengths)
    texts, pictures = order[~pictured[order]], order[pictured[order]]
    # Texts are the shorter kind as a rule: their longest and the shortest with pictures are the most alike.
    whole, spare = len(texts) // batch * batch, len(pictures) % batch
    mixed = _by_length(np.concatenate([texts[whole:], pictures[:spare]]), lengths)
    full = len(mixed) // batch * batch
    runs = np.concatenate([texts[:whole], pictures[spare:], mixed[:full]]).reshape(-1, batch)
    return np.concatenate([runs[shuffled(len(runs), seed, "runs")].ravel(), mixed[full:]])


def _by_length(samples: Places, lengths: NDArray[np.int64]) -> Places:
    return samples[np.argsort(lengths[samples], kind="stable")]
