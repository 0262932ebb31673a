"""How many records each category is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import floor
from typing import Literal


def asked_counts(
    shares: Mapping[str, float],
    available: Mapping[str, int],
    total: int | None,
    shortfall: Literal["take-all", "keep-shares"],
) -> dict[str, int]:
    """Records to take of each category in `shares`; what is asked for may be more than is available, with "take-all".

    With "keep-shares", and without a total, the whole is as large as leaves no category short. Raises ValueError when that is nothing.
    """
    weights = _normalised(shares)
    largest = min(floor(available.get(name, 0) / weight) for name, weight in weights.items())
    if total is None or (shortfall == "keep-shares" and total > largest):
        total = largest
    if total == 0:
        empty = next(name for name in weights if not available.get(name, 0))
        raise ValueError(f"shares.{empty}: there are no records of it, so no size keeps the shares; leave it out")
    return _divide(total, weights)


def _normalised(shares: Mapping[str, float]) -> dict[str, Fraction]:
    # As written in decimal: 39.1 is 391/10, so that counts do not depend on rounding in binary.
    exact = {name: Fraction(str(share)) for name, share in shares.items()}
    whole = sum(exact.values())
    return {name: share / whole for name, share in exact.items()}


def _divide(total: int, weights: Mapping[str, Fraction]) -> dict[str, int]:
    """Whole numbers that add up to `total`, by largest remainders; of equal ones the first is rounded up."""
    counts = {name: floor(total * weight) for name, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda name: counts[name] - total * weights[name])
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts
