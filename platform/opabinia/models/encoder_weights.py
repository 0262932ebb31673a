"""Whether the encoders here are those that a model was trained with, and the weights of those that were trained with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from opabinia.encoders.catalogue import find_encoder
from opabinia.encoders.digest import reading_digest, weights_digest

if TYPE_CHECKING:
    from opabinia.encoders.loading import VisionEncoder


def encoder_digests(names: Iterable[str]) -> dict[str, str]:
    """Id -> digest of its weights and of how it is read."""
    return {name: weights_digest(find_encoder(name)) for name in names}


def check_encoder_weights(digests: Mapping[str, str], where: str) -> None:
    """Raises ValueError naming the first encoder whose weights are others than those in training."""
    for name, digest in digests.items():
        if weights_digest(find_encoder(name)) != digest:
            raise ValueError(f"{where}: encoder {name} has other weights than in training; install those")


def trained_digests(names: Iterable[str]) -> dict[str, str]:
    """Id -> digest of how it is read, for encoders whose weights the folder holds."""
    return {name: reading_digest(find_encoder(name)) for name in names}


def check_trained_encoders(digests: Mapping[str, str], where: str) -> None:
    """Raises ValueError naming the first encoder that is read in another way than when it was trained."""
    for name, digest in digests.items():
        if reading_digest(find_encoder(name)) != digest:
            raise ValueError(
                f"{where}: encoder {name} is read in another way than in training; use the version that wrote it"
            )


def save_trained_encoders(encoders: Mapping[str, VisionEncoder], folder: Path) -> None:
    """One file of safetensors each, named after its id."""
    from safetensors.torch import save_model

    for name, encoder in encoders.items():
        place = _file(folder, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        save_model(encoder.backbone, str(place))


def load_trained_encoder(name: str, folder: Path) -> VisionEncoder:
    """The catalogue's encoder with the weights in `folder`, which are float32. Raises ValueError when they do not fit it.

    The catalogue's own weights must be here too: for most libraries it is they that tell how the network is built.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_model  # pyright: ignore[reportUnknownVariableType]

    from opabinia.encoders.loading import load_encoder

    encoder, place = load_encoder(name).float(), _file(folder, name)
    try:
        load_model(encoder.backbone, str(place), strict=True)
    except (RuntimeError, OSError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"{place}: does not fit encoder {name}: {reason}; use the folder as it was written") from error
    return encoder


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"
