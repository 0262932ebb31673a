"""Turning the notice that Google Cloud gives before it takes a machine away into a drain of the Ray node on it.

A drain is how Ray hears of it: it places no more work on the node, `ray.train.get_preemption_info()` stops being None in
every worker of a run that has one there, its end is no failure once the drain's deadline has passed, and the autoscaler
replaces it.

Run as `python -m opabinia.cluster preemption-watch`. The cluster files copy this file, and only this one, to machines
where the package is not installed, and run it there by its path: it imports the standard library and Ray, nothing else.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import urlencode

_HOST = "169.254.169.254"
_HOST_VARIABLE = "GCE_METADATA_HOST"
_FLAVOR = ("Metadata-Flavor", "Google")

_HANG_S = 10
"""How long the server may keep a request open; a connection that died unnoticed must not eat up half of the notice."""

_SLACK_S = 3
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0

_CHECK_S = 1.0
_DRAIN_TIMEOUT_S = 5.0

_log = logging.getLogger("preemption-watch")

Drain = Callable[[str, float], object]
"""Asks for a drain with a reason and a deadline (seconds since 1970); returns why it was not granted, or None."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An entry of the metadata server, below `instance/`, whose value says that this machine will end."""

    entry: str
    value: str
    seconds: float
    """Time from the notice to the end of the machine."""


@dataclass(frozen=True, slots=True)
class RayNode:
    """A Ray node on this machine: its raylet's process, its id (hexadecimal), and its cluster's address."""

    process: Path
    node_id: str
    address: str
    gcs_address: str

    def is_running(self) -> bool:
        """Tell whether the node is still there; a later process with the same number is not taken for it."""
        return _read_node(self.process) == self


def notices(devices: Path = Path("/dev")) -> tuple[Notice, ...]:
    """Return what to look out for on this machine.

    Google's documentation: a spot machine ends 30 s after `preempted` turns TRUE; maintenance is announced 60 s ahead,
    and one hour ahead where there are GPUs.
    """
    maintenance_s = 3600.0 if any(devices.glob("nvidia[0-9]*")) else 60.0
    return (
        Notice("preempted", "TRUE", 30.0),
        Notice("maintenance-event", "TERMINATE_ON_HOST_MAINTENANCE", maintenance_s),
    )


def read_entry(host: str, entry: str, known: str) -> tuple[str, str]:
    """Return an entry's value and version as soon as the version is not `known`, at the latest after `_HANG_S`.

    Raises OSError or HTTPException where a metadata server of Google's does not answer.
    """
    query = urlencode({"wait_for_change": "true", "last_etag": known, "timeout_sec": _HANG_S})
    connection = HTTPConnection(host, timeout=_HANG_S + _SLACK_S)
    try:
        connection.request("GET", f"/computeMetadata/v1/instance/{entry}?{query}", headers=dict([_FLAVOR]))
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace").strip()
    finally:
        connection.close()
    version = answer.getheader("ETag")
    if answer.status != 200 or answer.getheader(_FLAVOR[0]) != _FLAVOR[1] or not version:
        raise ConnectionError(f"{host} answers like no metadata server: status {answer.status}")
    return text, version


def follow(host: str, notice: Notice, found: Callable[[Notice], object]) -> None:
    """Call `found` whenever an entry takes on the value that a notice waits for; never returns."""
    value, version, pause = "", "0", 0.0
    while True:
        previous, asked = value, version
        try:
            value, version = read_entry(host, notice.entry, asked)
        except (OSError, HTTPException) as error:
            if not pause:
                _log.warning("instance/%s cannot be read, trying again: %s", notice.entry, error)
            pause = min(2 * pause or _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
            time.sleep(pause)
            continue
        pause = 0.0
        if value == notice.value != previous:
            found(notice)
        elif version == asked:
            # After a hang this costs nothing; a server that answers at once must not be asked without a pause.
            time.sleep(_FIRST_PAUSE_S)


def find_node(address: str | None, processes: Path = Path("/proc")) -> RayNode:
    """Return the Ray node on this machine, or the one that has `address`; raises ValueError where it is not one."""
    read = (_read_node(process) for process in processes.glob("[0-9]*"))
    nodes = [node for node in read if node and address in (None, node.address)]
    if not nodes:
        where = f"with the address {address}" if address else "on this machine"
        raise ValueError(f"no Ray node runs {where}; start it first, with `ray start`")
    if len(nodes) > 1:
        addresses = ", ".join(sorted(node.address for node in nodes))
        raise ValueError(f"{len(nodes)} Ray nodes run here; choose one with --node-ip-address ({addresses})")
    return nodes[0]


def watch(node: RayNode, host: str) -> None:
    """Drain a node on each notice that leaves less time than the ones before; returns when the node has ended."""
    drain = _drainer(node)
    found: SimpleQueue[Notice] = SimpleQueue()
    for notice in notices():
        Thread(target=follow, args=(host, notice, found.put), daemon=True).start()
    _log.info("watching %s for Ray node %s", host, node.node_id)
    end = math.inf
    while node.is_running():
        with suppress(Empty):
            notice = found.get(timeout=_CHECK_S)
            if (deadline := time.time() + notice.seconds) < end:
                end = deadline
                _insist(drain, node, notice, deadline)
    _log.info("Ray node %s has ended", node.node_id)


def _insist(drain: Drain, node: RayNode, notice: Notice, deadline: float) -> None:
    """Ask for a drain until it is granted, or comes too late."""
    reason = f"instance/{notice.entry} is {notice.value}"
    while node.is_running() and time.time() < deadline:
        refusal = drain(reason, deadline)
        if refusal is None:
            _log.warning("draining Ray node %s: %s, %.0f s left", node.node_id, reason, deadline - time.time())
            return
        _log.error("Ray node %s is not drained yet (%s): %s", node.node_id, reason, refusal)
        time.sleep(_CHECK_S)


def _drainer(node: RayNode) -> Drain:
    """Return what drains a node, connected: what cannot work fails when the watch begins, not when it matters."""
    # What `ray drain-node` and Ray's autoscaler use themselves; Ray has no public way.
    from ray import _raylet
    from ray.core.generated import autoscaler_pb2  # pyright: ignore[reportMissingTypeStubs]
    from ray.exceptions import RpcError

    untyped: tuple[Any, Any] = (_raylet, autoscaler_pb2)
    client = untyped[0].GcsClient(address=node.gcs_address)
    preemption = untyped[1].DRAIN_NODE_REASON_PREEMPTION

    def drain(reason: str, deadline: float) -> object:
        try:
            granted, refusal = client.drain_node(
                node.node_id, preemption, reason, int(deadline * 1000), timeout=_DRAIN_TIMEOUT_S
            )
        except RpcError as error:
            return error
        return None if granted else refusal

    return drain


def _read_node(process: Path) -> RayNode | None:
    """Return the Ray node whose raylet a process is, or None for any other process and for one that has ended."""
    try:
        program, *arguments = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    if Path(program).name != "raylet":
        return None
    flags = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    return RayNode(process, flags["--node_id"], flags["--node_ip_address"], flags["--gcs-address"])


def main(argv: Sequence[str]) -> int:
    """Watch until the Ray node of this machine ends; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="preemption-watch",
        description="Drain the Ray node of this machine when Google Cloud says that it will take the machine away.",
        epilog=f"The metadata server's address, where it is not {_HOST}, is read from {_HOST_VARIABLE}.",
    )
    parser.add_argument("--node-ip-address", help="the node's address, where several run on this machine")
    chosen: str | None = parser.parse_args(argv).node_ip_address
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", level=logging.INFO)
    try:
        node = find_node(chosen)
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    watch(node, os.environ.get(_HOST_VARIABLE) or _HOST)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
