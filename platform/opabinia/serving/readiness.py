"""Wait until an application answers, or say in one line why it does not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ray.serve.schema import ApplicationStatusOverview

    from opabinia.serving.config import ServingConfig

_POLL_S = 0.2


def wait_until_running(application: str, config: ServingConfig) -> None:
    """Return when every replica is ready. Raises ValueError when one fails, or not all are after startup_timeout_s."""
    from ray import serve

    deadline = time.monotonic() + config.startup_timeout_s
    while True:
        overview = serve.status().applications[application]
        if overview.status == "RUNNING":
            return
        if overview.status in ("DEPLOY_FAILED", "UNHEALTHY"):
            raise ValueError(_explain_failure(overview))
        if time.monotonic() > deadline:
            raise ValueError(_explain_delay(overview, config))
        time.sleep(_POLL_S)


def _explain_failure(overview: ApplicationStatusOverview) -> str:
    for name, deployment in sorted(overview.deployments.items()):
        if deployment.status != "HEALTHY" and deployment.message:
            # The message is a traceback of Ray Serve's own; its last line is what the replica raised.
            reason = deployment.message.strip().splitlines()[-1].strip().removeprefix("ValueError: ")
            return f"serving: {name} did not start: {reason}"
    return f"serving: the models did not start: {overview.message or 'see the logs of Ray Serve'}"


def _explain_delay(overview: ApplicationStatusOverview, config: ServingConfig) -> str:
    import ray

    missing = ", ".join(name for name, part in sorted(overview.deployments.items()) if part.status != "HEALTHY")
    free: dict[str, float] = cast(Any, ray).available_resources()
    return (
        f"serving.startup_timeout_s: not ready after {config.startup_timeout_s:g} seconds: {missing}; a replica takes "
        f"{config.num_cpus:g} CPUs and {config.num_gpus:g} GPUs (serving.num_cpus, serving.num_gpus), free are "
        f"{free.get('CPU', 0):g} and {free.get('GPU', 0):g}"
    )
