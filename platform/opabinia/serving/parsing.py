"""From the bytes of a request to a checked ChatRequest, or the error that says where they are wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError
from pydantic_core import from_json

from opabinia.serving.errors import ApiError, invalid
from opabinia.serving.schema import ChatRequest
from opabinia.serving.unsupported import drop_unsupported

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Path = list[str | int]


def parse_request(body: bytes) -> ChatRequest:
    """Read the JSON body of POST /v1/chat/completions. Raises ApiError (400)."""
    fields = drop_unsupported(_parse_object(body))
    try:
        request = ChatRequest.model_validate(fields)
    except ValidationError as error:
        raise _describe(error.errors(include_url=False)[0], fields) from None
    if request.max_tokens is not None and request.max_completion_tokens is not None:
        raise invalid(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
            code="invalid_parameter_combination",
        )
    if request.stream_options is not None and not request.stream:
        raise invalid("The 'stream_options' parameter is only allowed when 'stream' is true.", param="stream_options")
    return request


def _parse_object(body: bytes) -> dict[str, Any]:
    try:
        fields = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise invalid(f"We could not parse the JSON body of your request: {error}.", code="invalid_json") from None
    if not isinstance(fields, dict):
        raise invalid(f"The request must be a JSON object, got {_kind(fields)}.", code="invalid_json")
    return cast(dict[str, Any], fields)


def _describe(error: ErrorDetails, fields: dict[str, Any]) -> ApiError:
    path = _path(error["loc"], fields)
    param = _dotted(path)
    if error["type"] == "missing":
        return invalid(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    if error["type"] == "extra_forbidden":
        return invalid(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")
    if error["type"].startswith("union_tag"):
        return _describe_tag(error, path)
    kind = "type" if error["type"].endswith("_type") else "value"
    reason = f"{error['msg'][:1].lower()}{error['msg'][1:]}"
    return invalid(
        f"Invalid {kind} for '{param}': {reason}, got {_kind(error['input'])}.", param=param, code=f"invalid_{kind}"
    )


def _describe_tag(error: ErrorDetails, path: Path) -> ApiError:
    """The role of a message or the type of a part is missing or not one of those served."""
    context = error.get("ctx", {})
    field = str(context.get("discriminator", "'type'")).strip("'")
    param = _dotted([*path, field])
    if error["type"] == "union_tag_not_found":
        return invalid(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    tag, known = context.get("tag"), context.get("expected_tags")
    return invalid(f"Invalid value: '{tag}'. Supported values are: {known}.", param=param, code="invalid_value")


def _path(location: Sequence[str | int], fields: dict[str, Any]) -> Path:
    """Leave out what pydantic puts into a location beside keys and indices: the chosen member of a union."""
    path: Path = []
    here: object = fields
    for depth, step in enumerate(location):
        if isinstance(here, Mapping) and step in here:
            here = cast(Mapping[Any, object], here)[step]
        elif isinstance(here, list) and isinstance(step, int):
            here = cast(list[object], here)[step]
        elif depth < len(location) - 1 or not isinstance(here, Mapping):
            continue
        path.append(step)
    return path


def _dotted(path: Path) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _kind(value: object) -> str:
    names: dict[type[object], str] = {
        bool: "a boolean",
        str: "a string",
        list: "an array",
        dict: "an object",
        type(None): "null",
    }
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return names.get(type(value), "something else")
