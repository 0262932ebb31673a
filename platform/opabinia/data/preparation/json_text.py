"""JSON values from bytes and to bytes, as every line and item of ours is."""

from __future__ import annotations

import json
from typing import Any, cast

from opabinia.data.records import RecordError


def parse_value(content: bytes) -> Any:
    """The JSON value that the UTF-8 bytes hold. Raises RecordError with the reason.

    NaN and Infinity become null: pandas writes them where nothing is, and JSON does not have them.
    """
    try:
        text = content.decode("utf-8")
        value = json.loads(text, parse_constant=lambda _: None)
        if "\\u" in text:
            # A lone half of a surrogate pair cannot be written again.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise RecordError("not valid UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise RecordError(f"not valid JSON: {error.msg.removesuffix(' at')} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not valid JSON: {type(error).__name__}") from None
    return value


def parse_object(content: bytes) -> dict[str, Any]:
    """The JSON object that the bytes hold. Raises RecordError, for other values too."""
    value = parse_value(content)
    if not isinstance(value, dict):
        raise RecordError(f"expected a JSON object, got {type(value).__name__}")
    return cast("dict[str, Any]", value)


def json_line(value: object) -> bytes:
    """The value as one JSONL line with its newline. Raises RecordError where JSON or UTF-8 cannot hold it."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n"
    except UnicodeError:
        raise RecordError("not valid UTF-8 text") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise RecordError(f"cannot be written as JSON: {' '.join(str(error).split())}") from None
