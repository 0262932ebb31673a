"""What goes wrong with a request, as OpenAI words it: {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from opabinia.names import suggestion

INVALID_REQUEST = "invalid_request_error"
SERVER_ERROR = "server_error"


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    """The request asks for something wrong: status 400."""
    return ApiError(400, message, param=param, code=code)


def unauthorized(sent: bool) -> ApiError:
    """The API key is missing (`sent` false) or wrong: status 401."""
    message = (
        "Incorrect API key provided."
        if sent
        else "You didn't provide an API key. Send it in an Authorization header: Authorization: Bearer YOUR_KEY."
    )
    return ApiError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})


def unknown_model(name: str, known: Iterable[str]) -> ApiError:
    """The model is not served here: status 404, naming the nearest one that is."""
    names = sorted(known)
    message = f"The model `{name}` does not exist{suggestion(name, names)} Served here: {', '.join(names)}."
    return ApiError(404, message.replace("exist Served", "exist. Served"), param="model", code="model_not_found")


def unknown_url(method: str, path: str) -> ApiError:
    """No such address: status 404."""
    return ApiError(404, f"Invalid URL ({method} {path})", code="unknown_url")


def wrong_method(method: str, path: str) -> ApiError:
    """The address exists, the method does not: status 405."""
    return ApiError(405, f"Not allowed to {method} on {path}.", code="method_not_supported")


def too_large(limit: int) -> ApiError:
    """The body is longer than `limit` bytes: status 413."""
    return ApiError(413, f"The request is larger than {limit} bytes.", code="request_too_large")


def wrong_content_type(content_type: str) -> ApiError:
    """The body is not declared to be JSON: status 415."""
    message = f"Unsupported content type: '{content_type}'. Send the request as 'application/json'."
    return ApiError(415, message, code="unsupported_content_type")


def failed() -> ApiError:
    """The server is at fault: status 500. What happened is in its log, not in the answer."""
    return ApiError(500, "The server failed while answering the request.", kind=SERVER_ERROR, code="internal_error")


def overloaded(retry_after_s: int = 1) -> ApiError:
    """Too many requests are waiting: status 503; clients try again after `retry_after_s` seconds."""
    headers = {"Retry-After": str(retry_after_s)}
    message = "The model is overloaded: too many requests are waiting. Try again later."
    return ApiError(503, message, kind=SERVER_ERROR, code="overloaded", headers=headers)


def unavailable(model: str) -> ApiError:
    """No replica of the model runs: status 503."""
    return ApiError(503, f"The model `{model}` is not available right now.", kind=SERVER_ERROR, code="unavailable")


def timed_out(seconds: float) -> ApiError:
    """No answer came in time: status 504."""
    return ApiError(504, f"No answer within {seconds:g} seconds.", kind=SERVER_ERROR, code="timeout")


class ApiError(Exception):
    """A request that ends with an HTTP status and an OpenAI error body instead of an answer."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID_REQUEST,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The JSON that OpenAI clients expect."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}
