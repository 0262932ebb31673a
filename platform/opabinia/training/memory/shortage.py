"""What an error says of the memory that was missing, in the words of each allocator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Memory = Literal["host", "device"]

_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_AMOUNT = r"(\d+(?:\.\d+)?) ?([KMGTPE]?)(?:i?B|i|bytes)?\b"


@dataclass(frozen=True, slots=True)
class Shortage:
    """Bytes, None where the error does not tell. asked: what was asked for in vain. total, free: what there is.

    fragments: what torch has taken from the device but could not use. elsewhere: what is taken and not torch's in this process.
    """

    memory: Memory
    asked: int | None = None
    total: int | None = None
    free: int | None = None
    fragments: int | None = None
    elsewhere: int | None = None


def find_shortage(error: BaseException) -> Shortage | None:
    """What was missing, where the error or one that led to it says that memory was; None for every other error."""
    return next(filter(None, map(_shortage, _causes(error))), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen = set[int]()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _shortage(error: BaseException) -> Shortage | None:
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return Shortage("host", asked=_amount(rf"Unable to allocate {_AMOUNT}", text))
    if not isinstance(error, RuntimeError | ValueError):
        return None
    if re.search(r"DefaultCPUAllocator: (can't allocate memory|not enough memory)", text):
        return Shortage("host", asked=_amount(rf"you tried to allocate {_AMOUNT}", text))
    if re.search(r"RESOURCE_EXHAUSTED.*(memory|allocat|reserve)", text):
        return _of_xla(text)
    if text.startswith("MPS backend out of memory"):
        return _of_mps(text)
    # Also what cuBLAS, cuDNN and NCCL say when they find no room for themselves.
    if re.search(r"(CUDA|HIP|Cuda|NCCL).*out of memory|ALLOC_FAILED", text) or _is_torch_shortage(error):
        return _of_cuda(text)
    return None


def _is_torch_shortage(error: BaseException) -> bool:
    import torch

    return isinstance(error, torch.OutOfMemoryError)


def _of_cuda(text: str) -> Shortage:
    total, free = _amount(rf"total capacity of {_AMOUNT}", text), _amount(rf"of which {_AMOUNT} is free", text)
    own = _amount(rf"allocated memory {_AMOUNT} is allocated by PyTorch", text)
    fragments = _amount(rf"{_AMOUNT} is reserved by PyTorch but unallocated", text)
    elsewhere = None
    if total is not None and free is not None and own is not None:
        elsewhere = max(0, total - free - own - (fragments or 0))
    return Shortage("device", _amount(rf"Tried to allocate {_AMOUNT}", text), total, free, fragments, elsewhere)


def _of_xla(text: str) -> Shortage:
    asked = _amount(rf"(?:to allocate|to reserve|capacity by) {_AMOUNT}", text)
    return Shortage(
        "device",
        asked=asked,
        total=_amount(rf"Used \S+ of {_AMOUNT} \w+\.", text),
        free=_amount(rf"There (?:are|is) {_AMOUNT} free", text),
    )


def _of_mps(text: str) -> Shortage:
    total = _amount(rf"max allowed: {_AMOUNT}", text)
    own, others = _amount(rf"MPS allocated: {_AMOUNT}", text), _amount(rf"other allocations: {_AMOUNT}", text)
    return Shortage(
        "device", _amount(rf"Tried to allocate {_AMOUNT}", text), total, _less(total, own, others), None, others
    )


def _less(total: int | None, *taken: int | None) -> int | None:
    return None if total is None else max(0, total - sum(amount or 0 for amount in taken))


def _amount(pattern: str, text: str) -> int | None:
    found = re.search(pattern, text)
    return None if found is None else int(float(found[1]) * 1024 ** _UNITS[found[2]])
