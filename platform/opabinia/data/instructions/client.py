"""One request to an endpoint that speaks the OpenAI protocol, and what came of it."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import httpx

from opabinia.data.instructions.retry import PatienceConfig
from opabinia.data.instructions.sending import Sender
from opabinia.data.instructions.settings import EndpointConfig

_KNOCK_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered.

    text: its words. ending: why it stopped ("stop", "length", "content_filter").
    model, host: as the endpoint names the model, and where the endpoint is.
    prompt_tokens, completion_tokens: None where the endpoint does not count.
    """

    text: str
    ending: str
    model: str
    host: str
    prompt_tokens: int | None
    completion_tokens: int | None


class ChatClient:
    """Asks an endpoint. Use `chat_client`, which also closes it."""

    def __init__(self, sender: Sender, endpoint: EndpointConfig, secret: str | None) -> None:
        self._sender = sender
        self._endpoint = endpoint
        self._secret = secret

    async def ask(self, body: dict[str, Any]) -> Answer:
        """Send a request. Raises Unanswered, Refused or Unusable."""
        url = f"{self._endpoint.base_url}/chat/completions"
        return await self._sender.fetch("POST", url, self._read, {"json": body})

    def _read(self, response: httpx.Response) -> Answer:
        document: Any = response.json()
        try:
            choice = document["choices"][0]
            message = choice["message"]
            text, refusal = _text(message.get("content")), message.get("refusal")
        except (TypeError, KeyError, IndexError, AttributeError):
            raise ValueError("it holds no choices with a message") from None
        usage = document.get("usage")
        return Answer(
            text=self._hidden(text or str(refusal or "")),
            ending="content_filter" if refusal and not text else str(choice.get("finish_reason") or "stop"),
            model=self._hidden(str(document.get("model") or self._endpoint.model)),
            host=self._endpoint.host,
            prompt_tokens=_count(usage, "prompt_tokens"),
            completion_tokens=_count(usage, "completion_tokens"),
        )

    def _hidden(self, text: str) -> str:
        # Half a surrogate pair, as a model that is cut off may leave it, cannot be written as UTF-8.
        whole = text.encode("utf-8", "replace").decode()
        return whole.replace(self._secret, "***") if self._secret else whole


@asynccontextmanager
async def chat_client(endpoint: EndpointConfig, patience: PatienceConfig, at_once: int) -> AsyncGenerator[ChatClient]:
    """A client that keeps up to `at_once` connections. Raises ValueError when the key is not in the environment."""
    secret = api_key(endpoint)
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    # The sender limits a request as a whole; a limit here would count waiting for a connection too.
    async with httpx.AsyncClient(headers=headers, limits=limits, timeout=None) as client:
        sender = Sender(client, patience, timeout_s=endpoint.timeout_s, secret=secret)
        yield ChatClient(sender, endpoint, secret)


def api_key(endpoint: EndpointConfig) -> str | None:
    """The key, from this process's environment. Raises ValueError naming the variable when it is not there."""
    if endpoint.api_key_env is None:
        return None
    key = os.environ.get(endpoint.api_key_env, "").strip()
    if not key:
        raise ValueError(
            f"endpoint.api_key_env: environment variable {endpoint.api_key_env} is not set; put the key in it on every node"
        )
    if not key.isascii() or not key.isprintable():
        raise ValueError(f"endpoint.api_key_env: {endpoint.api_key_env} holds what cannot stand in an HTTP header")
    return key


def check_reachable(endpoint: EndpointConfig) -> None:
    """Raises ValueError when nobody listens at the endpoint's address; what an answer says is left to the requests."""
    try:
        httpx.get(f"{endpoint.base_url}/models", timeout=_KNOCK_S)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise ValueError(
            f"endpoint.base_url: nobody answers at {endpoint.base_url} ({error}); start the server, or put the address right"
        ) from None
    except httpx.TransportError:
        return


def _text(content: object) -> str:
    if isinstance(content, list):
        parts = cast("list[dict[str, Any]]", content)
        return "".join(str(part.get("text", "")) for part in parts if part.get("type") == "text")
    return content if isinstance(content, str) else ""


def _count(usage: object, name: str) -> int | None:
    value: object = cast("dict[str, object]", usage).get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) else None
