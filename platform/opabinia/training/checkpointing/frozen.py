"""Modules whose weights were not changed by the run: a checkpoint names them by digest instead of holding them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from torch import nn
from torch.distributed.tensor import DTensor

from opabinia.training.checkpointing.tensor_file import bytes_of


def module_digest(module: nn.Module) -> str:
    """SHA-256 of the names, dtypes, shapes and bytes of all parameters and persistent buffers.

    Raises ValueError where they are sharded already: each process would tell another one.
    """
    digest = sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if isinstance(tensor, DTensor):
            raise ValueError(f"{name}: is sharded; take the digest before fully_shard")
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(bytes_of(tensor.detach().cpu()))
    return digest.hexdigest()


def is_below(name: str, modules: Mapping[str, str]) -> bool:
    """Whether a parameter or buffer is one of, or belongs to, `modules`."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def check_frozen(saved: Mapping[str, str], present: Mapping[str, str], where: str) -> None:
    """Raises ValueError when not the same modules are frozen, or one has other weights than in the checkpoint `where`."""
    for module in sorted({*saved, *present}):
        if module not in present:
            raise ValueError(f"{where}: does not hold {module}, which was frozen; name it in frozen with its digest")
        if module not in saved:
            raise ValueError(f"{where}: holds {module}, which had been trained; take it out of frozen")
        if saved[module] != present[module]:
            raise ValueError(f"{where}: {module} has other weights than when it was saved; open the same ones")
