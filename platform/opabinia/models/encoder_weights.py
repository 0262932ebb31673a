"""Whether the encoders here are those that a model was trained with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from opabinia.encoders.catalogue import find_encoder
from opabinia.encoders.digest import weights_digest


def encoder_digests(names: Iterable[str]) -> dict[str, str]:
    """Id -> digest of its weights and of how it is read."""
    return {name: weights_digest(find_encoder(name)) for name in names}


def check_encoder_weights(digests: Mapping[str, str], where: str) -> None:
    """Raises ValueError naming the first encoder whose weights are others than those in training."""
    for name, digest in digests.items():
        if weights_digest(find_encoder(name)) != digest:
            raise ValueError(f"{where}: encoder {name} has other weights than in training; install those")
