"""The Ray Serve deployments: one that holds a model, and one that speaks HTTP and routes to the models."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError, RayServeException

from opabinia.models.answering import Answer, Answerer, Prompt
from opabinia.serving import errors
from opabinia.serving.app import build_app
from opabinia.serving.batching import Asked, Refusal, answer_all
from opabinia.serving.config import ServingConfig
from opabinia.serving.sampling import Sampling

if TYPE_CHECKING:
    from fastapi import FastAPI

_log = logging.getLogger(__name__)


def find_loader(path: str) -> Callable[[Path], Answerer]:
    """Import what "package.module:function" names. Raises ValueError when there is no such function."""
    module, _, name = path.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"loader: cannot import {path!r}: {error}; expected 'package.module:function'") from None


class ModelReplica:
    """One copy of one model. Requests that arrive while it computes form the next batch."""

    def __init__(self, folder: str, loader: str, max_batch_size: int, batch_wait_s: float) -> None:
        if not Path(folder).is_dir():
            raise ValueError(f"no model folder {folder} on this machine; put it where every machine can read it")
        self._answerer = find_loader(loader)(Path(folder))
        batched = cast(Any, self._answer_batch)
        batched.set_max_batch_size(max_batch_size)
        batched.set_batch_wait_timeout_s(batch_wait_s)

    async def answer(self, prompt: Prompt, sampling: Sampling) -> Answer | Refusal:
        """Answer together with whatever else is asked now."""
        return await cast(Any, self._answer_batch)(Asked(prompt, sampling))

    @serve.batch
    async def _answer_batch(self, asked: list[Asked]) -> list[Answer | Refusal]:
        # In a thread, so that this replica goes on collecting the next batch and reporting its health.
        return await asyncio.to_thread(answer_all, self._answerer, asked)


class Ingress:
    """Speaks HTTP, checks requests and routes them by model name. `models` maps names to deployment handles."""

    def __init__(self, config: ServingConfig, digest: str | None, models: Mapping[str, Any]) -> None:
        self._config = config
        self._digest = digest
        self._handles = dict(models)

    def __serve_build_asgi_app__(self) -> FastAPI:
        return build_app(self._config, self, self._digest)

    @property
    def models(self) -> Sequence[str]:
        """Every name served, sorted."""
        return sorted(self._handles)

    async def answer(self, model: str, prompt: Prompt, sampling: Sampling) -> Answer:
        """Ask a replica of `model`. Raises ApiError when it is overloaded, gone, too slow or fails."""
        outcome = await self._ask(model, prompt, sampling)
        if isinstance(outcome, Answer):
            return outcome
        if outcome.fault == "request":
            raise errors.invalid(outcome.message, param="messages", code="invalid_prompt")
        raise errors.failed()

    async def _ask(self, model: str, prompt: Prompt, sampling: Sampling) -> Answer | Refusal:
        limit = self._config.request_timeout_s
        try:
            async with asyncio.timeout(limit):
                return await self._handles[model].answer.remote(prompt, sampling)
        except BackPressureError:
            raise errors.overloaded() from None
        except TimeoutError:
            raise errors.timed_out(limit) from None
        except (RayServeException, RayError) as error:
            _log.error("model %s did not answer: %s", model, error)
            raise errors.unavailable(model) from None

    async def is_healthy(self) -> bool:
        """Whether Ray Serve has every replica running."""
        status = await asyncio.to_thread(serve.status)
        name = serve.get_replica_context().app_name
        return name in status.applications and status.applications[name].status == "RUNNING"
