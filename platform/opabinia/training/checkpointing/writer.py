"""How torch.distributed.checkpoint writes: safetensors files of each worker, then tables, and the manifest last."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from torch import Tensor
from torch.distributed.checkpoint.metadata import Metadata, MetadataIndex
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner
from torch.distributed.checkpoint.storage import StorageWriter, WriteResult
from torch.futures import Future

from opabinia.storage.addresses import join_address
from opabinia.storage.objects import size, whole_object
from opabinia.training.checkpointing.layout import new_folder
from opabinia.training.checkpointing.manifest import FileEntry, Manifest, entry_of, now, versions, write_manifest
from opabinia.training.checkpointing.state import STATE
from opabinia.training.checkpointing.table import TABLE, make_table, to_json
from opabinia.training.checkpointing.tensor_file import write_tensors

FILE_BYTES = 512 << 20
"""A file holds tensors of so many bytes together, or one larger one."""

FILES_AT_ONCE = 4


class Saved(NamedTuple):
    """Where a tensor, or a shard, was written, and what the file came to."""

    file: str
    start: int
    entry: FileEntry


@dataclasses.dataclass(frozen=True, slots=True)
class Contents:
    """What the first worker adds to the tensors."""

    step: int
    permanent: bool
    settings: bytes
    facts: Mapping[str, Any]
    frozen: Mapping[str, str]


class ShardWriter(StorageWriter):
    """Writes one checkpoint into a new folder below `address`; `folder` is its address once the workers have agreed on it."""

    def __init__(self, address: str, contents: Contents, workers: int) -> None:
        self.folder: str | None = None
        self._address = address
        self._contents = contents
        self._workers = workers

    @property
    def step(self) -> int:
        return self._contents.step

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Nothing is kept from a former write: there is none."""

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Folders appear with their first file."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        self.folder = new_folder(self._address, self._contents.step, self._contents.permanent)
        return [dataclasses.replace(plan, storage_data=(self.folder, rank)) for rank, plan in enumerate(plans)]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        self.folder, rank = plan.storage_data
        tensors = {item.index: planner.resolve_data(item) for item in plan.items}
        saved = _write_share(str(self.folder), rank, {i: t for i, t in tensors.items() if isinstance(t, Tensor)})
        written: Future[list[WriteResult]] = Future()
        written.set_result([WriteResult(index, place.entry.bytes, place) for index, place in saved.items()])
        return written

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Called on the first worker when all have written. Raises ValueError when it does not see what the others wrote."""
        folder = str(self.folder)
        saved: dict[MetadataIndex, Saved] = {
            result.index: result.storage_data for worker in results for result in worker
        }
        files = {place.file: place.entry for place in saved.values()}
        _check_presence(folder, files)
        table = make_table(metadata, {index: (place.file, place.start) for index, place in saved.items()})
        for name, content in ((TABLE, to_json(table)), (STATE, self._contents.settings)):
            with whole_object(join_address(folder, name)) as handle:
                handle.write(content)
            files[name] = entry_of(content)
        write_manifest(folder, self._manifest(files))

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        return True

    def _manifest(self, files: Mapping[str, FileEntry]) -> Manifest:
        return Manifest(
            step=self._contents.step,
            saved_at=now(),
            workers=self._workers,
            versions=versions(),
            frozen=dict(self._contents.frozen),
            facts=dict(self._contents.facts),
            files=dict(sorted(files.items())),
        )


def _write_share(folder: str, rank: int, tensors: Mapping[MetadataIndex, Tensor]) -> dict[MetadataIndex, Saved]:
    """Write one worker's tensors, several files at once. Raises the first error, after the files that were begun."""
    saved: dict[MetadataIndex, Saved] = {}
    with ThreadPoolExecutor(FILES_AT_ONCE) as threads:
        try:
            begun = [
                threads.submit(_write_file, folder, f"worker-{rank:05d}-{number:04d}.safetensors", share)
                for number, share in enumerate(into_files(tensors))
            ]
            for file in begun:
                saved |= file.result()
        finally:
            threads.shutdown(cancel_futures=True)
    return saved


def into_files(tensors: Mapping[MetadataIndex, Tensor]) -> Iterable[dict[MetadataIndex, Tensor]]:
    """The tensors in order, cut where FILE_BYTES would be exceeded."""
    file: dict[MetadataIndex, Tensor] = {}
    filled = 0
    for index, tensor in tensors.items():
        length = tensor.numel() * tensor.element_size()
        if file and filled + length > FILE_BYTES:
            yield file
            file, filled = {}, 0
        file[index] = tensor
        filled += length
    if file:
        yield file


def _write_file(folder: str, name: str, tensors: Mapping[MetadataIndex, Tensor]) -> dict[MetadataIndex, Saved]:
    labels = {index: _label(index) for index in tensors}
    entry, starts = write_tensors(join_address(folder, name), {labels[i]: tensor for i, tensor in tensors.items()})
    return {index: Saved(name, starts[label], entry) for index, label in labels.items()}


def _label(index: MetadataIndex) -> str:
    """Its name in the file, for whoever opens it with other programs: shards tell where in the tensor they begin."""
    return index.fqn if not index.offset or not any(index.offset) else f"{index.fqn}@{','.join(map(str, index.offset))}"


def _check_presence(folder: str, files: Mapping[str, FileEntry]) -> None:
    for name, entry in files.items():
        file = join_address(folder, name)
        try:
            found = size(file)
        except ValueError as error:
            raise ValueError(
                f"{file}: another worker wrote it and this one does not see it; use an address that all share"
            ) from error
        if found != entry.bytes:
            raise ValueError(
                f"{file}: has {found} of the {entry.bytes} bytes that were written; look at what else writes there"
            )
