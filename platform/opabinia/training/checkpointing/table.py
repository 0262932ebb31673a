"""tensors.json: where each tensor of a checkpoint, or each shard of it, lies."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import TypeAdapter, ValidationError
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)

from opabinia.config import Config
from opabinia.training.checkpointing.tensor_file import DTYPES, dtype_name

TABLE = "tensors.json"


class StoredChunk(Config):
    """A shard, or the whole of a tensor: `start` is its first byte in the file `file` of the checkpoint."""

    offsets: tuple[int, ...]
    shape: tuple[int, ...]
    file: str
    start: int


class StoredTensor(Config):
    """A tensor of the given shape and safetensors dtype, cut into `chunks` that cover it without overlap."""

    dtype: str
    shape: tuple[int, ...]
    chunks: tuple[StoredChunk, ...]

    @property
    def torch_dtype(self) -> torch.dtype:
        return DTYPES[self.dtype]


Table = Mapping[str, StoredTensor]

_ADAPTER = TypeAdapter(dict[str, StoredTensor])


def make_table(metadata: Metadata, places: Mapping[MetadataIndex, tuple[str, int]]) -> dict[str, StoredTensor]:
    """The table of what torch.distributed.checkpoint planned; `places` tells file and first byte of each chunk."""
    return {name: _stored(name, tensor, places) for name, tensor in _tensors(metadata).items()}


def to_json(table: Mapping[str, StoredTensor]) -> bytes:
    return _ADAPTER.dump_json(dict(table)) + b"\n"


def from_json(content: bytes, where: str) -> dict[str, StoredTensor]:
    """Raises ValueError when it is no such table; `where` names it."""
    try:
        table = _ADAPTER.validate_json(content)
    except ValidationError as error:
        raise ValueError(f"{where}: is no table of tensors; use the version that wrote it") from error
    for name, tensor in table.items():
        if tensor.dtype not in DTYPES:
            raise ValueError(f"{where}: {name} is of the unknown dtype {tensor.dtype}; use the version that wrote it")
    return table


def to_metadata(table: Table) -> Metadata:
    """The table as torch.distributed.checkpoint wants it, with the chunks' places as storage_data."""
    return Metadata(
        state_dict_metadata={name: _described(tensor) for name, tensor in table.items()},
        storage_data={
            MetadataIndex(name, chunk.offsets): chunk for name, tensor in table.items() for chunk in tensor.chunks
        },
    )


def _described(tensor: StoredTensor) -> TensorStorageMetadata:
    chunks = [ChunkStorageMetadata(torch.Size(chunk.offsets), torch.Size(chunk.shape)) for chunk in tensor.chunks]
    return TensorStorageMetadata(TensorProperties(dtype=tensor.torch_dtype), torch.Size(tensor.shape), chunks)


def _tensors(metadata: Metadata) -> dict[str, TensorStorageMetadata]:
    found = metadata.state_dict_metadata
    return {name: tensor for name, tensor in found.items() if isinstance(tensor, TensorStorageMetadata)}


def _stored(name: str, tensor: TensorStorageMetadata, places: Mapping[MetadataIndex, tuple[str, int]]) -> StoredTensor:
    chunks: list[StoredChunk] = []
    for chunk in tensor.chunks:
        file, start = places[MetadataIndex(name, chunk.offsets)]
        chunks.append(StoredChunk(offsets=tuple(chunk.offsets), shape=tuple(chunk.sizes), file=file, start=start))
    return StoredTensor(dtype=dtype_name(tensor.properties.dtype), shape=tuple(tensor.size), chunks=tuple(chunks))
