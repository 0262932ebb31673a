"""Start the models as a Ray Serve application, and stop it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from opabinia.serving.instructions import base_url
from opabinia.serving.listening import start_http
from opabinia.serving.readiness import wait_until_running

if TYPE_CHECKING:
    from opabinia.serving.config import ServingConfig

LOADER = "opabinia.models.answering:load_answerer"


def deploy(config: ServingConfig, folders: Mapping[str, Path], *, loader: str = LOADER) -> str:
    """Serve each folder under its name and return the address, "http://127.0.0.1:8000". Ray must be initialised.

    Returns when every replica has loaded its model with `loader`, "package.module:function" taking the folder. What
    the application served before is replaced. Raises ValueError, before anything starts, when there is no folder, the
    API key is not set, the port is taken or Ray Serve already listens elsewhere; and when a model cannot be loaded or
    does not become ready in time, after which nothing is served.
    """
    digest = _read_key(config)
    _check_folders(folders)
    start_http(config)
    _run(config, folders, loader, digest)
    return base_url(config.host, config.port)


def stop() -> None:
    """Stop serving; close the port, unless other applications of this Ray cluster use it. Ray itself goes on."""
    from ray import serve

    from opabinia.serving.application import APPLICATION

    others = set(serve.status().applications) - {APPLICATION}
    if others:
        serve.delete(APPLICATION)
    else:
        serve.shutdown()


def _read_key(config: ServingConfig) -> str | None:
    from opabinia.serving.app import key_digest

    if config.api_key_env is None:
        return None
    key = os.environ.get(config.api_key_env, "").strip()
    if not key:
        raise ValueError(
            f"serving.api_key_env: environment variable {config.api_key_env} is not set; put the key in it"
        )
    return key_digest(key)


def _check_folders(folders: Mapping[str, Path]) -> None:
    if not folders:
        raise ValueError("folders: there is no model to serve; give at least one")
    for name, folder in folders.items():
        if not folder.is_dir():
            raise ValueError(f"folders: model {name!r} has no folder {folder}; train it or correct the path")


def _run(config: ServingConfig, folders: Mapping[str, Path], loader: str, digest: str | None) -> None:
    from ray import serve
    from ray.serve.api import RunTarget

    from opabinia.serving.application import APPLICATION, build_application

    target = RunTarget(target=build_application(config, folders, loader, digest), name=APPLICATION, route_prefix="/")
    serve.run_many([target], wait_for_applications_running=False)
    try:
        wait_until_running(APPLICATION, config)
    except BaseException:
        # Half a service would keep the port and its CPUs, also after Ctrl-C.
        serve.delete(APPLICATION)
        raise
