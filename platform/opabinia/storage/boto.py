"""boto3, which comes without types and takes a tenth of a second to import: Any from here on, and only when it is needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def boto3_module() -> Any:
    """The module boto3."""
    return import_module("boto3")


def boto_config() -> Any:
    """The class botocore.config.Config."""
    return import_module("botocore.config").Config


def boto_errors() -> Any:
    """The module botocore.exceptions."""
    return import_module("botocore.exceptions")


def boto_failures() -> tuple[type[Exception], ...]:
    """All that a request through boto3 raises."""
    errors = boto_errors()
    return errors.BotoCoreError, errors.ClientError, import_module("botocore.parsers").ResponseParserError


def answer_of(error: Exception) -> dict[str, Any]:
    """What the server answered when it refused a request; empty for an error that is no answer of the server's."""
    return getattr(error, "response", {}) if isinstance(error, boto_errors().ClientError) else {}


def error_code(error: Exception) -> str:
    """The S3 code (NoSuchKey, SlowDown …) of such an answer, or an empty text."""
    return str(answer_of(error).get("Error", {}).get("Code", ""))


def http_status(error: Exception) -> int:
    """The HTTP status of such an answer, or 0."""
    return int(answer_of(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
