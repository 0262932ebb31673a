"""Which trials of a sweep cannot be trained, and why not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A trial that is not run."""

    trial: str
    reason: str


def reason_of(error: ValueError) -> str:
    """What an error says, in one line."""
    if isinstance(error, ValidationError):
        return "; ".join(detail["msg"].removeprefix("Value error, ") for detail in error.errors())
    return str(error).partition("\n")[0]


def grouped(left_out: Iterable[LeftOut]) -> dict[str, list[str]]:
    """Reason -> the trials that it keeps out, in their order."""
    found: dict[str, list[str]] = {}
    for one in left_out:
        found.setdefault(one.reason, []).append(one.trial)
    return found


def say_left_out(left_out: Iterable[LeftOut]) -> list[str]:
    """A line a reason."""
    return [f"left out, {_number(names)}: {reason} ({_names(names)})" for reason, names in grouped(left_out).items()]


def _number(names: list[str]) -> str:
    return f"{len(names)} trial{'s' * (len(names) > 1)}"


def _names(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"
