"""Parameters that OpenAI knows and this server does not: accepted where they change nothing, refused otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opabinia.names import suggestion
from opabinia.serving.errors import invalid
from opabinia.serving.schema import ChatRequest

# Labels for the caller's own bookkeeping: they have no effect on an answer, whatever they hold.
IGNORED = frozenset(
    {"metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier", "user"}
)

# Values that ask for nothing; None always does.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "audio": (),
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "moderation": (),
    "n": (1,),
    "parallel_tool_calls": (True, False),
    "prediction": (),
    "presence_penalty": (0,),
    "reasoning_effort": ("none",),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
    "web_search_options": (),
}


def drop_unsupported(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return `body` with the served parameters alone. Raises ApiError (400) for one that would change the answer."""
    for name, value in body.items():
        if name in NEUTRAL and not _is_neutral(name, value):
            raise invalid(_explain(name), param=name, code="unsupported_parameter")
        if name not in NEUTRAL and name not in IGNORED and name not in ChatRequest.model_fields:
            hint = suggestion(name, ChatRequest.model_fields)
            raise invalid(f"Unknown parameter: '{name}'{hint or '.'}", param=name, code="unknown_parameter")
    return {name: value for name, value in body.items() if name in ChatRequest.model_fields}


def _is_neutral(name: str, value: object) -> bool:
    # Python takes 0 for False and 1 for True; n=true is not a number.
    same = [kept for kept in NEUTRAL[name] if kept == value and isinstance(kept, bool) == isinstance(value, bool)]
    return value is None or bool(same)


def _explain(name: str) -> str:
    if name == "n":
        return "Unsupported value: 'n' must be 1; send the request again for another answer."
    return f"Unsupported parameter: '{name}' is not supported by this server."
