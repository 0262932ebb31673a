"""Which weights are on this machine already, asked without a network and without the libraries that load them."""

from __future__ import annotations

from pathlib import Path

from opabinia.encoders.entry import EncoderEntry
from opabinia.storage.packaged import PREFIX, weights_location

_WEIGHT_FILES = ("*.safetensors", "*.bin", "*.pt", "*.pth")


def weights_are_here(entry: EncoderEntry) -> bool:
    """Whether loading would find the weights: in an installed package, a folder, or the cache of the Hugging Face hub."""
    if entry.weights.startswith(PREFIX):
        return _holds_weights(Path(weights_location(entry.weights)))
    return _holds_weights(Path(entry.weights)) or any(map(_holds_weights, _snapshots(entry.weights)))


def _snapshots(repository: str) -> list[Path]:
    from huggingface_hub.constants import HF_HUB_CACHE

    return list(Path(HF_HUB_CACHE, f"models--{repository.replace('/', '--')}", "snapshots").glob("*"))


def _holds_weights(folder: Path) -> bool:
    return any(path for pattern in _WEIGHT_FILES for path in folder.glob(pattern))
