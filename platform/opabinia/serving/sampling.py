"""How an answer is drawn: the request's own settings within the server's limits."""

from __future__ import annotations

from dataclasses import dataclass

from opabinia.serving.config import ServingConfig
from opabinia.serving.errors import invalid
from opabinia.serving.schema import ChatRequest


@dataclass(frozen=True, slots=True)
class Sampling:
    """Temperature 0 always takes the likeliest token; then top_p and seed have no effect."""

    max_new_tokens: int
    temperature: float
    top_p: float
    seed: int | None


def choose_sampling(request: ChatRequest, config: ServingConfig) -> Sampling:
    """Fill what the request leaves open. Raises ApiError (400) when it asks for more tokens than allowed."""
    temperature = config.default_temperature if request.temperature is None else request.temperature
    top_p = 1.0 if request.top_p is None else request.top_p
    # The likeliest token is the smallest nucleus there is, and a temperature of 0 says just that.
    greedy = temperature == 0 or top_p == 0
    return Sampling(
        max_new_tokens=_max_new_tokens(request, config),
        temperature=0.0 if greedy else temperature,
        top_p=1.0 if greedy else top_p,
        seed=None if greedy else request.seed,
    )


def _max_new_tokens(request: ChatRequest, config: ServingConfig) -> int:
    param = "max_tokens" if request.max_completion_tokens is None else "max_completion_tokens"
    wanted = request.max_completion_tokens or request.max_tokens or config.default_max_tokens
    if wanted > config.max_tokens:
        raise invalid(
            f"{param} is too large: {wanted}. This server generates at most {config.max_tokens} tokens.",
            param=param,
            code="invalid_value",
        )
    return wanted
