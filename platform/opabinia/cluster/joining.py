"""How a job comes to its Ray."""

from __future__ import annotations

import logging
import os
import socket

_ANSWER_SECONDS = 5.0


def join_ray() -> None:
    """Join the cluster that RAY_ADDRESS names, or the one that was started on this machine; where there is none, start one that
    ends with this process.

    Raises ValueError where the machine remembers a cluster that is dead: Ray itself would try it for ten minutes.
    """
    import ray

    if "RAY_ADDRESS" not in os.environ:
        _check_remembered_cluster()
    ray.init(logging_level=logging.WARNING, log_to_driver=False)


def _check_remembered_cluster() -> None:
    from ray._private.utils import read_ray_address

    address = read_ray_address()
    if not address:
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _ANSWER_SECONDS).close()
    except OSError:
        raise ValueError(
            f"ray: the cluster that this machine remembers, {address}, does not answer; forget it with `ray stop`, or set "
            "RAY_ADDRESS to the cluster's address, or to local for one of this job alone"
        ) from None
