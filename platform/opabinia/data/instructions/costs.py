"""Tokens and money, by model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from opabinia.config import Config
from opabinia.data.instructions.client import Answer
from opabinia.data.tables import read_table

OURS = Path(__file__).with_name("prices.yaml")


class Price(Config):
    """US dollars for a million tokens."""

    prompt: float = Field(ge=0)
    """Of what is sent."""

    completion: float = Field(ge=0)
    """Of what is answered."""


class PriceTable(Config):
    """Prices by model, as in prices.yaml."""

    prices: dict[str, Price]
    """Name of a model, or its beginning -> price; the longest that fits counts."""

    def price(self, model: str) -> Price | None:
        """The price of a model, None when it is not listed."""
        fitting = [name for name in self.prices if model == name or model.startswith(f"{name}-")]
        return self.prices[max(fitting, key=len)] if fitting else None


def price_table(file: Path | None) -> PriceTable:
    """The table in a file, or ours. Raises ValueError that begins with the file's name."""
    return read_table(PriceTable, file or OURS)


@dataclass(slots=True)
class Usage:
    """Requests to one model that were answered. uncounted: those whose tokens the endpoint did not tell."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0

    def add(self, answer: Answer) -> None:
        """Count an answer."""
        self.requests += 1
        self.prompt_tokens += answer.prompt_tokens or 0
        self.completion_tokens += answer.completion_tokens or 0
        self.uncounted += answer.prompt_tokens is None or answer.completion_tokens is None

    def summary(self, price: Price | None) -> dict[str, Any]:
        """The counts, and dollars: None when the model has no price or tokens are missing."""
        known = price is not None and not self.uncounted
        dollars = (
            self.prompt_tokens * price.prompt + self.completion_tokens * price.completion if price and known else None
        )
        return {
            "requests": self.requests,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "uncounted": self.uncounted,
            "usd": None if dollars is None else round(dollars / 1e6, 6),
        }
