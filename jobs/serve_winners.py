"""Serve a checkpoint behind an HTTP endpoint that speaks the OpenAI protocol; without --checkpoint, the champion of a sweep."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opabinia.cluster.joining import join_ray
from opabinia.command_line import load_settings, plain_errors
from opabinia.experiment import Experiment

_DEFAULT = Path(__file__).parent / "experiments" / "quickstart.yaml"


class ServeSettings(Experiment):
    """An experiment whose winner is served."""

    checkpoint: Path | None = None
    """Checkpoint folder, as training writes it; null fetches the champion from MLflow."""

    detach: bool = False
    """Return as soon as the service answers; it goes on until its Ray cluster stops or serves something else."""


def main(argv: Sequence[str]) -> None:
    """Serve until Ctrl-C or SIGTERM, or, with --detach true, as long as the Ray cluster runs."""
    settings = load_settings(ServeSettings, argv, description=__doc__ or "", default_file=_DEFAULT)
    with plain_errors():
        _serve(settings)


def _serve(settings: ServeSettings) -> None:
    import ray
    import ray.serve  # pyright: ignore[reportUnusedImport]

    from opabinia.preparation import claim_output
    from opabinia.serving.deploy import deploy, stop
    from opabinia.winner import fetch_winner

    claim_output(settings)
    # Ray Serve reports every step of a deployment; those stand in its own logs too. Its import sets the level back.
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    serving, folder = settings.serving, settings.checkpoint or fetch_winner(settings)
    _connect(settings.detach)
    url = deploy(serving, {serving.model_name: folder})
    _print_instructions(settings, url, folder)
    if not settings.detach:
        _wait_for_signal()
        print("stopping", flush=True)
        stop()
    ray.shutdown()


def _connect(detach: bool) -> None:
    """Join the running Ray cluster; start one for the life of this job where there is none."""
    import ray

    join_ray()
    # Ray tells whether it joined a cluster or started one only on the inside.
    internal: Any = ray
    if detach and internal._private.worker.global_worker.node.is_head():
        ray.shutdown()
        reason = "no Ray cluster is running that could go on serving; start one with `ray start --head`"
        raise ValueError(f"detach: {reason}, or leave out --detach")


def _print_instructions(settings: ServeSettings, url: str, folder: Path) -> None:
    from opabinia.serving.instructions import client_lines, curl_line

    serving = settings.serving
    print(f"serving {serving.model_name!r} at {url}/v1 (checkpoint {folder})\n")
    print(f"ask it from a shell:\n\n{curl_line(url, serving.model_name, serving.api_key_env)}\n")
    print(f"or with the openai client:\n\n{client_lines(url, serving.model_name, serving.api_key_env)}\n")
    print("it goes on serving" if settings.detach else "serving until Ctrl-C or `ray job stop`", flush=True)


def _wait_for_signal() -> None:
    stopped = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    stopped.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
