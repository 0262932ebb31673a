"""How the models and what stands before them are deployed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import serve
from ray.serve.deployment import Application, Deployment

from opabinia.serving.listening import environment
from opabinia.serving.replica import Ingress, ModelReplica

if TYPE_CHECKING:
    from opabinia.serving.config import ServingConfig

APPLICATION = "opabinia"

# A replica that stops gets this long, in seconds, to answer what it has begun.
_SHUTDOWN_S = 10.0

# How often a replica that stops looks whether its last requests are answered; Ray Serve's own choice, 2 s, makes
# every stop take 4 s.
_SHUTDOWN_POLL_S = 0.1

# What serve.deployment returns is a function by its annotations and a deployment in fact.
_serve: Any = serve


def build_application(
    config: ServingConfig, folders: Mapping[str, Path], loader: str, digest: str | None
) -> Application:
    """Return the application for ray.serve: an ingress, and behind it a deployment for each model."""
    runtime = _runtime(config)
    replica: Any = _replica_deployment(config, runtime)
    models = {
        name: replica.options(name=_deployment_name(index, name)).bind(
            str(folder.resolve()), loader, config.max_batch_size, config.batch_wait_s
        )
        for index, (name, folder) in enumerate(sorted(folders.items()))
    }
    ingress: Any = _ingress_deployment(config, runtime, len(models))
    return ingress.bind(config, digest, models)


def _replica_deployment(config: ServingConfig, runtime: dict[str, Any]) -> Deployment:
    return _serve.deployment(ModelReplica).options(
        num_replicas=config.replicas,
        max_ongoing_requests=_ongoing(config),
        max_queued_requests=config.max_queued_requests - _waiting_inside(config),
        max_constructor_retry_count=1,
        graceful_shutdown_timeout_s=_SHUTDOWN_S,
        graceful_shutdown_wait_loop_s=_SHUTDOWN_POLL_S,
        ray_actor_options={"num_cpus": config.num_cpus, "num_gpus": config.num_gpus, "runtime_env": runtime},
    )


def _ingress_deployment(config: ServingConfig, runtime: dict[str, Any], models: int) -> Deployment:
    # Wide enough that requests queue at the models, where a full queue gets a proper answer.
    open_requests = models * (config.replicas * _ongoing(config) + config.max_queued_requests) + 64
    return _serve.deployment(_serve.ingress()(Ingress)).options(
        name="ingress",
        max_ongoing_requests=open_requests,
        max_constructor_retry_count=1,
        graceful_shutdown_timeout_s=_SHUTDOWN_S,
        graceful_shutdown_wait_loop_s=_SHUTDOWN_POLL_S,
        ray_actor_options={"num_cpus": 0, "runtime_env": runtime},
    )


def _ongoing(config: ServingConfig) -> int:
    return config.max_batch_size + _waiting_inside(config)


def _waiting_inside(config: ServingConfig) -> int:
    # Half of the queue is in the replica, where the next batch is ready when the last one is done; Ray Serve lets
    # requests outside look for a free place only now and then, which alone would leave the replica idle.
    return config.max_queued_requests // 2


def _runtime(config: ServingConfig) -> dict[str, Any]:
    # A runtime environment of its own would replace the job's, in which the replicas may have to find this package.
    job: dict[str, Any] = dict(ray.get_runtime_context().runtime_env)
    return {**job, "env_vars": {**job.get("env_vars", {}), **environment(config)}}


def _deployment_name(index: int, model: str) -> str:
    # Ray Serve keeps some characters for itself; the number keeps two names apart that differ only in those.
    return f"model-{index}-{re.sub(r'[^A-Za-z0-9_.-]', '-', model)}"
