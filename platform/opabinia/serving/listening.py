"""The address the service listens on: free, the only one, and loopback where loopback is asked for."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opabinia.serving.config import ServingConfig

# With HAProxy in front, Ray Serve opens further ports on every interface, whatever host it is given.
_NO_HAPROXY = {
    "RAY_SERVE_ENABLE_HA_PROXY": "0",
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "0",
}


def start_http(config: ServingConfig) -> None:
    """Start Ray Serve's HTTP proxy, unless it runs already at this very address.

    Raises ValueError when the address is taken, cannot be listened on, or Ray Serve already has another.
    """
    from ray import serve

    address = _current_address()
    if address is not None:
        if address != (config.host, config.port):
            raise ValueError(
                f"serving.port: Ray Serve already listens on {address[0]}:{address[1]} in this Ray cluster; "
                f"use that (--serving.port {address[1]}) or stop it first"
            )
        return
    check_port_free(config.host, config.port)
    serve.start(
        proxy_location="HeadOnly",
        http_options={"host": config.host, "port": config.port},
        controller_options={"runtime_env": {"env_vars": environment(config)}},
    )


def _current_address() -> tuple[str, int] | None:
    """Host and port at which this Ray cluster's Serve listens, or None when there is no Serve."""
    from ray.serve.context import _get_global_client  # pyright: ignore[reportPrivateUsage]

    client: Any = _get_global_client(raise_if_no_controller_running=False)
    return None if client is None else (client.http_config.host, client.http_config.port)


def check_port_free(host: str, port: int) -> None:
    """Raises ValueError when nothing can listen at this address; Ray Serve itself would share a port in silence."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                fix = "stop what listens there or choose another with --serving.port"
                raise ValueError(f"serving.port: port {port} on {host} is in use; {fix}") from None
            reason = error.strerror or str(error)
            raise ValueError(f"serving.host: cannot listen on {host}:{port}: {reason}; use 127.0.0.1") from None


def environment(config: ServingConfig) -> dict[str, str]:
    """Return the environment variables with which all of Ray Serve keeps to `config.host`."""
    return dict(_NO_HAPROXY) if _is_loopback(config.host) else {}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
