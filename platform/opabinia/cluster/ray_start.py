"""What Ray calls before it starts a head of ours (RAY_START_HOOK)."""

from __future__ import annotations

from typing import Any


def leave_out_extras(parameters: Any, head: bool) -> None:
    """Leave out what one machine does not need: the server for ray:// clients and the monitor that adds machines.

    The command line has no way to say this. `parameters` is Ray's own RayParams.
    """
    if head:
        parameters.ray_client_server_port = None
        parameters.no_monitor = True
