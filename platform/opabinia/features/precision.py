"""In which type features are stored, and what that takes; no torch, since settings name it."""

from __future__ import annotations

from typing import Literal

Precision = Literal["float32", "float16", "bfloat16", "int8"]
"""int8 comes with one float32 scale a token: value = scale * number, the token's largest value being 127 * scale."""

VALUE_BYTES: dict[Precision, int] = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}
_SCALE_BYTES = 4


def picture_bytes(tokens: int, width: int, precision: Precision) -> int:
    """What one picture's features take on disk and in a reader's memory."""
    return tokens * (width * VALUE_BYTES[precision] + (_SCALE_BYTES if precision == "int8" else 0))
