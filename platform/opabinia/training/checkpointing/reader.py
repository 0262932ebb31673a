"""How torch.distributed.checkpoint reads: each file once from start to end, its hash checked on the way."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner, ReadItem
from torch.distributed.checkpoint.storage import StorageReader
from torch.futures import Future

from opabinia.storage.addresses import join_address
from opabinia.training.checkpointing.manifest import Manifest, read_entry, read_manifest
from opabinia.training.checkpointing.state import STATE
from opabinia.training.checkpointing.table import TABLE, StoredChunk, StoredTensor, from_json, to_metadata
from opabinia.training.checkpointing.tensor_file import CheckedFile
from opabinia.training.checkpointing.writer import FILES_AT_ONCE


@dataclass(frozen=True)
class Opened:
    """A checkpoint whose small files were read and checked."""

    folder: str
    manifest: Manifest
    table: Mapping[str, StoredTensor]
    settings: bytes


def open_checkpoint(folder: str) -> Opened:
    """Raises ValueError when a small file is missing, damaged, or of another format."""
    manifest = read_manifest(folder)
    small: dict[str, bytes] = {}
    for name in (TABLE, STATE):
        if name not in manifest.files:
            raise ValueError(f"{folder}: its manifest names no {name}; use the version that wrote it")
        small[name] = read_entry(folder, name, manifest.files[name])
    return Opened(folder, manifest, from_json(small[TABLE], join_address(folder, TABLE)), small[STATE])


class ShardReader(StorageReader):
    """Reads what a plan wants from an opened checkpoint, straight into the tensors of the planner."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._metadata = to_metadata(opened.table)

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Nothing is kept from a former read: there is none."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        return self._metadata

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """All was opened before."""

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Raises ValueError naming the file whose bytes are not those that were saved; what was read of it stays read."""
        files: dict[str, list[ReadItem]] = {}
        for item in plan.items:
            files.setdefault(self._place(item).file, []).append(item)
        with ThreadPoolExecutor(FILES_AT_ONCE) as threads:
            for read in [threads.submit(self._read_file, name, items, planner) for name, items in files.items()]:
                read.result()
        done: Future[None] = Future()
        done.set_result(None)
        return done

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        return True

    def _read_file(self, name: str, items: list[ReadItem], planner: LoadPlanner) -> None:
        wanted: dict[int, list[ReadItem]] = {}
        for item in items:
            wanted.setdefault(self._place(item).start, []).append(item)
        with CheckedFile(self._opened.folder, name, self._opened.manifest.files[name]) as file:
            for start, of_chunk in sorted(wanted.items()):
                chunk = self._place(of_chunk[0])
                dtype = self._opened.table[of_chunk[0].storage_index.fqn].torch_dtype
                tensor = file.read_tensor(start, dtype, chunk.shape)
                for item in of_chunk:
                    _fill(planner, item, tensor)
            file.finish()

    def _place(self, item: ReadItem) -> StoredChunk:
        return self._metadata.storage_data[item.storage_index]


def _fill(planner: LoadPlanner, item: ReadItem, chunk: Tensor) -> None:
    """Copy the part of the chunk that the plan wants to where it wants it."""
    part = tuple(slice(start, start + length) for start, length in zip(item.storage_offsets, item.lengths, strict=True))
    target: Tensor = planner.resolve_tensor(item).detach()
    target.copy_(chunk[part])
    planner.commit_tensor(item, target)
