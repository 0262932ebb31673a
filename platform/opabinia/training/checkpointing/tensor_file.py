"""One safetensors file, written as a stream and hashed on the way, and read with its hash checked.

The format: the header's length (8 bytes, little-endian), the header (JSON: name -> dtype, shape, first and last byte), the bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from io import BufferedIOBase
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor

from opabinia.storage.addresses import join_address
from opabinia.storage.objects import open_read, whole_object
from opabinia.training.checkpointing.manifest import FileEntry, check_entry

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}

_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_ALIGNMENT = 8
_PIECE_BYTES = 1 << 22


def dtype_name(dtype: torch.dtype) -> str:
    """Its name in a safetensors file. Raises ValueError for one that has none."""
    if dtype not in _NAMES:
        raise ValueError(f"{dtype}: tensors of this dtype cannot be saved; convert them to one of {', '.join(DTYPES)}")
    return _NAMES[dtype]


def write_tensors(address: str, tensors: Mapping[str, Tensor]) -> tuple[FileEntry, dict[str, int]]:
    """Write tensors of the CPU; the file's size and hash, and each tensor's first byte in it.

    Raises ValueError when the file cannot be written whole.
    """
    # The widest first, so that each begins at a multiple of its own width.
    ordered = sorted(tensors, key=lambda name: -tensors[name].element_size())
    header, sizes = _header({name: tensors[name] for name in ordered})
    digest = sha256(header)
    with whole_object(address) as handle:
        handle.write(header)
        for name in ordered:
            _write_bytes(handle, digest, bytes_of(tensors[name]))
    starts: dict[str, int] = {}
    end = len(header)
    for name in ordered:
        starts[name] = end
        end += sizes[name]
    return FileEntry(bytes=end, sha256=digest.hexdigest()), starts


class CheckedFile:
    """A file of a checkpoint, read from its start to its end; `finish` says whether it was the one that was saved."""

    def __init__(self, folder: str, name: str, entry: FileEntry) -> None:
        self._folder, self._name, self._entry = folder, name, entry
        self._handle = cast(BufferedIOBase, open_read(join_address(folder, name)))
        self._digest = sha256()
        self._position = 0

    def __enter__(self) -> CheckedFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._handle.close()

    def read_tensor(self, start: int, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
        """The tensor that begins at byte `start`, which must lie behind what was read. Raises ValueError when it is cut off."""
        self._skip(start - self._position)
        tensor = torch.empty(shape, dtype=dtype)
        view = bytes_of(tensor)
        while view:
            view = view[self._receive(view) :]
        return tensor

    def finish(self) -> None:
        """Read the rest. Raises ValueError naming the file when size or hash are not those that were saved."""
        rest = memoryview(bytearray(_PIECE_BYTES))
        while count := self._handle.readinto(rest):
            self._take(rest[:count])
        check_entry(
            self._folder, self._name, self._entry, FileEntry(bytes=self._position, sha256=self._digest.hexdigest())
        )

    def _skip(self, count: int) -> None:
        rest = memoryview(bytearray(min(max(count, 0), _PIECE_BYTES)))
        while count > 0:
            count -= self._receive(rest[: min(count, len(rest))])

    def _receive(self, wanted: memoryview) -> int:
        count = self._handle.readinto(wanted[:_PIECE_BYTES])
        if not count:
            self.finish()
            raise ValueError(
                f"{join_address(self._folder, self._name)}: it ends before its tensors do; use another one"
            )
        self._take(wanted[:count])
        return count

    def _take(self, read: memoryview) -> None:
        self._digest.update(read)
        self._position += len(read)


def _header(tensors: Mapping[str, Tensor]) -> tuple[bytes, dict[str, int]]:
    """The header with its length in front, and the bytes of each tensor."""
    fields: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    sizes: dict[str, int] = {}
    end = 0
    for name, tensor in tensors.items():
        sizes[name] = tensor.numel() * tensor.element_size()
        span = [end, end + sizes[name]]
        fields[name] = {"dtype": dtype_name(tensor.dtype), "shape": list(tensor.shape), "data_offsets": span}
        end = span[1]
    text = json.dumps(fields, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text, sizes


def _write_bytes(handle: BinaryIO, digest: Any, content: memoryview) -> None:
    for start in range(0, len(content), _PIECE_BYTES):
        piece = content[start : start + _PIECE_BYTES]
        digest.update(piece)
        handle.write(piece)


def bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of a tensor of the CPU, in its order; the tensor's own where it is contiguous."""
    array: Any = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
    return memoryview(array)
