"""The HTTP side: OpenAI's addresses, answered by whatever backend holds the models."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Sequence
from typing import Protocol

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from opabinia.models.answering import Answer, Prompt
from opabinia.serving import errors
from opabinia.serving.completion import new_identity, to_completion
from opabinia.serving.config import ServingConfig
from opabinia.serving.conversation import to_prompt
from opabinia.serving.errors import ApiError
from opabinia.serving.parsing import parse_request
from opabinia.serving.sampling import Sampling, choose_sampling
from opabinia.serving.schema import ChatRequest, ModelCard, ModelList
from opabinia.serving.stream import to_events

_log = logging.getLogger(__name__)

# A body this many times too long is not read to its end.
_PATIENCE = 4


class Backend(Protocol):
    """Where the models are."""

    @property
    def models(self) -> Sequence[str]:
        """The names by which requests ask for them."""
        ...

    async def answer(self, model: str, prompt: Prompt, sampling: Sampling) -> Answer:
        """Raises ApiError when there is no answer."""
        ...

    async def is_healthy(self) -> bool:
        """Whether every model can answer."""
        ...


def key_digest(key: str) -> str:
    """The form in which a key may be stored and passed on: it does not give the key away."""
    return hashlib.sha256(key.encode()).hexdigest()


def build_app(config: ServingConfig, backend: Backend, digest: str | None = None) -> FastAPI:
    """Build the application; with a `digest`, requests under /v1 must carry the key of that key_digest."""
    # No documentation pages: they would load scripts from another server.
    app = FastAPI(title="Opabinia", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_failure)
    app.include_router(_v1(config, backend, digest))

    @app.get("/health")
    async def health() -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        healthy = await backend.is_healthy()
        body = {"status": "ok" if healthy else "unavailable", "models": list(backend.models)}
        return JSONResponse(body, status_code=200 if healthy else 503)

    return app


def _v1(config: ServingConfig, backend: Backend, digest: str | None) -> APIRouter:
    async def check_key(request: Request) -> None:
        _check_key(request, digest)

    router = APIRouter(prefix="/v1", dependencies=[Depends(check_key)])
    started = int(time.time())

    @router.get("/models")
    async def list_models() -> ModelList:  # pyright: ignore[reportUnusedFunction]
        return ModelList(data=[ModelCard(id=name, created=started) for name in backend.models])

    @router.get("/models/{name:path}")
    async def retrieve_model(name: str) -> ModelCard:  # pyright: ignore[reportUnusedFunction]
        _check_model(name, backend)
        return ModelCard(id=name, created=started)

    @router.post("/chat/completions")
    async def chat(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        _check_content_type(request)
        chat_request = parse_request(await _read_body(request, config.max_request_bytes))
        return await _respond(chat_request, config, backend)

    return router


async def _respond(request: ChatRequest, config: ServingConfig, backend: Backend) -> Response:
    _check_model(request.model, backend)
    sampling = choose_sampling(request, config)
    # Decoding a large picture takes long enough to hold up every other request.
    prompt = await asyncio.to_thread(to_prompt, request.messages, config)
    answer = await backend.answer(request.model, prompt, sampling)
    identity = new_identity(request.model)
    if not request.stream:
        return JSONResponse(to_completion(identity, answer, request.stop).model_dump())
    include_usage = request.stream_options is not None and request.stream_options.include_usage
    events = to_events(identity, answer, request.stop, include_usage=include_usage)
    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


def _check_key(request: Request, digest: str | None) -> None:
    if digest is None:
        return
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(key_digest(key.strip()), digest):
        raise errors.unauthorized(sent=bool(key))


def _check_model(name: str, backend: Backend) -> None:
    if name not in backend.models:
        raise errors.unknown_model(name, backend.models)


def _check_content_type(request: Request) -> None:
    # Also keeps web pages out: without asking first, a browser sends other sites' requests only as text or forms.
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise errors.wrong_content_type(content_type)


async def _read_body(request: Request, limit: int) -> bytes:
    """Read the body. Raises ApiError (413) when it is above `limit` bytes.

    A somewhat longer body is read to its end, though not kept: most clients listen only after they have sent it all.
    """
    body, length = bytearray(), 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > _PATIENCE * limit:
            break
        if length <= limit:
            body += chunk
    if length > limit:
        raise errors.too_large(limit)
    return bytes(body)


async def _on_api_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers)


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return await _on_api_error(request, errors.unknown_url(request.method, request.url.path))
    if error.status_code == 405:
        return await _on_api_error(request, errors.wrong_method(request.method, request.url.path))
    return await _on_api_error(request, ApiError(error.status_code, str(error.detail)))


async def _on_failure(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return await _on_api_error(request, errors.failed())
