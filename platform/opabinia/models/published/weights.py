"""The weights in a checkpoint folder: safetensors, or .bin read without running what it holds."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from opabinia.encoders.weight_keys import check_keys

__all__ = ["check_keys", "has_weights", "read_weights"]


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Every weight of the folder, by its published name; safetensors first. Raises ValueError when files are missing."""
    from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]

    files = _weight_files(folder)
    if not files:
        raise ValueError(
            f"checkpoint {folder}: no model.safetensors, shards or pytorch_model.bin; the weights are missing"
        )
    weights: dict[str, Tensor] = {}
    for file in files:
        content: dict[str, Tensor] = (
            load_file(file)
            if file.suffix == ".safetensors"
            else torch.load(file, map_location="cpu", weights_only=True)
        )
        weights |= content
    return weights


def has_weights(folder: Path) -> bool:
    """Whether the folder holds a whole model, as far as the names of its files tell."""
    names = ("model.safetensors", "pytorch_model.bin")
    return any((folder / name).is_file() or (folder / f"{name}.index.json").is_file() for name in names)


def _weight_files(folder: Path) -> list[Path]:
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
            absent = [shard for shard in shards if not (folder / shard).is_file()]
            if absent:
                raise ValueError(f"checkpoint {folder}: shard {absent[0]} is missing; copy the folder again")
            return [folder / shard for shard in shards]
    return []
