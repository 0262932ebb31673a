"""What a model is asked, and the name that the same request always has."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from opabinia.config import Config
from opabinia.data.instructions.settings import EndpointConfig

HASH_DIGITS = 16


class Form(Config):
    """What an answer must hold."""

    kind: Literal["pairs", "list"] = "pairs"
    """pairs of questions and answers, or a list of short texts."""

    description: bool = False
    """Whether a description of the picture goes before the pairs."""

    least: int = 1
    """Fewest pairs, or texts of a list."""

    most: int = 1
    """Most of them; what an answer holds beyond is left out."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """system, user: the two messages. form: what the answer must hold."""

    system: str
    user: str
    form: Form


@dataclass(frozen=True, slots=True)
class Request:
    """body: the JSON that is sent. key: sha256 of it and of the attempt's number, 64 hex digits."""

    body: dict[str, Any]
    key: str


def make_request(prompt: Prompt, endpoint: EndpointConfig, attempt: int = 1, complaint: str = "") -> Request:
    """The `attempt`th request (from 1) about a prompt; `complaint` says what was wrong with the last answer."""
    user = (
        f"{prompt.user}\n\nAn earlier answer could not be used: {complaint}. Mind this." if complaint else prompt.user
    )
    messages = [{"role": "system", "content": prompt.system}] if prompt.system else []
    body: dict[str, Any] = {"model": endpoint.model, "messages": [*messages, {"role": "user", "content": user}]}
    if endpoint.temperature is not None:
        body["temperature"] = endpoint.temperature
    if endpoint.max_tokens is not None:
        body["max_tokens"] = endpoint.max_tokens
    body |= endpoint.body
    # The address is left out: the same model may answer at another port tomorrow.
    return Request(body, content_hash({"body": body, "attempt": attempt}))


def content_hash(content: Any) -> str:
    """sha256 (hex) of JSON, however its keys are ordered."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
