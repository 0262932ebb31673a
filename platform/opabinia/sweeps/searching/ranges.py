"""What a setting can be in a search: one of some values, or anything between two numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

from pydantic import model_validator

from opabinia.config import Config

Value = bool | int | float | str | tuple[int, ...] | None
"""Of one setting."""

_DIGITS = 3
"""Of a number that is drawn from a range: its name tells all of it."""


class Range(Config):
    """Every number from low to high; whole ones where both are whole."""

    low: int | float
    """The smallest."""

    high: int | float
    """The largest."""

    log: bool = False
    """Whether each doubling is as likely as any other, as suits learning rates, in place of each difference."""

    @model_validator(mode="after")
    def _has_a_middle(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"high: {self.high} is not above low, {self.low}; raise it")
        if self.log and self.low <= 0:
            raise ValueError(f"low: {self.low} has no logarithm; raise it above 0, or write log: false")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)


Domain = tuple[Value, ...] | Range

Answer = Callable[[str, Domain], Value]
"""Chooses from a domain, told the name of what it is for."""


def value_text(value: Value) -> str:
    """As names of trials hold it."""
    if isinstance(value, tuple):
        return "+".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if value is None else str(value)


def rounded(value: Value, domain: Domain) -> Value:
    """A number from a range with as few digits as its name has; anything else as it is."""
    if not isinstance(domain, Range) or not isinstance(value, float):
        return value
    return min(max(float(f"{value:.{_DIGITS}g}"), float(domain.low)), float(domain.high))


def holds(domain: Domain, value: Value) -> bool:
    """Whether the value can be had from the domain."""
    if not isinstance(domain, Range):
        return value in domain
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return domain.low <= value <= domain.high and (isinstance(value, int) or not domain.is_whole)


def lowest(name: str, domain: Domain) -> Value:
    """The smallest number; the first of values that are no numbers."""
    return _in_order(domain)[0]


def highest(name: str, domain: Domain) -> Value:
    """The largest number; the last of values that are no numbers."""
    return _in_order(domain)[-1]


def at_random(draw: random.Random) -> Answer:
    """Answers by that generator, every value alike."""

    def answer(name: str, domain: Domain) -> Value:
        if not isinstance(domain, Range):
            return domain[draw.randrange(len(domain))]
        if domain.log:
            number = math.exp(draw.uniform(math.log(domain.low), math.log(domain.high)))
            return round(number) if domain.is_whole else number
        return (
            draw.randint(int(domain.low), int(domain.high))
            if domain.is_whole
            else draw.uniform(domain.low, domain.high)
        )

    return answer


def _in_order(domain: Domain) -> Sequence[Value]:
    if isinstance(domain, Range):
        return (domain.low, domain.high)
    numbers = [value for value in domain if isinstance(value, int | float) and not isinstance(value, bool)]
    return sorted(numbers) if len(numbers) == len(domain) else domain
