"""Whether the weights of a checkpoint are those that a network needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

_SHOWN = 8
"""How many offending keys an error names."""


def check_keys(
    wanted: Mapping[str, Tensor],
    given: Mapping[str, tuple[str, Tensor]],
    place: str,
    optional: Collection[str] = (),
) -> None:
    """Refuse weights that are missing, unexpected or of another shape, by name.

    wanted: what the network has. given: under the network's name, the checkpoint's name and weight. place: where they are from, and
    begins the error. optional: names that may be missing. Raises ValueError.
    """
    faults = [f"missing {name}" for name in wanted if name not in given and name not in optional]
    faults += [f"unexpected {key}" for name, (key, _) in given.items() if name not in wanted]
    faults += [
        f"{key} has shape {list(weight.shape)}, expected {list(wanted[name].shape)}"
        for name, (key, weight) in given.items()
        if name in wanted and weight.shape != wanted[name].shape
    ]
    if faults:
        more = f", and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise ValueError(f"{place}: {', '.join(faults[:_SHOWN])}{more}")
