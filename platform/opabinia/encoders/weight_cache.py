"""Which weights are on this machine already, asked without a network and without the libraries that load them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opabinia.encoders.entry import EncoderEntry
from opabinia.storage.packaged import PREFIX, weights_location

_WEIGHT_FILES = ("*.safetensors", "*.bin", "*.pt", "*.pth")


def weights_are_here(entry: EncoderEntry) -> bool:
    """Whether loading would find the weights: in an installed package, a folder, or the cache of the Hugging Face hub."""
    if entry.weights.startswith(PREFIX):
        return _holds_weights(Path(weights_location(entry.weights)))
    return _holds_weights(Path(entry.weights)) or any(map(_holds_weights, _in_cache(entry.weights)))


def hub_file(weights: str) -> Path:
    """The file `OWNER/NAME/PATH` of the repository OWNER/NAME, fetched unless it is in the cache; a file that is here, as it is."""
    import huggingface_hub

    if Path(weights).is_file():
        return Path(weights)
    hub: Any = huggingface_hub
    owner, name, path = weights.split("/", 2)
    return Path(hub.hf_hub_download(f"{owner}/{name}", path))


def _in_cache(weights: str) -> list[Path]:
    from huggingface_hub.constants import HF_HUB_CACHE

    owner, _, rest = weights.partition("/")
    name, _, path = rest.partition("/")
    return [one / path for one in Path(HF_HUB_CACHE, f"models--{owner}--{name}", "snapshots").glob("*")]


def _holds_weights(place: Path) -> bool:
    """Whether `place` is a file of weights or a folder of them, perhaps one level down, as a pipeline's parts are."""
    if place.is_file():
        return True
    return any(path for pattern in _WEIGHT_FILES for path in (*place.glob(pattern), *place.glob(f"*/{pattern}")))
