"""Tokens become money by a table that the user can edit."""

from __future__ import annotations

import pytest

from opabinia.data.instructions.client import Answer
from opabinia.data.instructions.costs import Price, PriceTable, Usage, price_table

TABLE = PriceTable(prices={"big": Price(prompt=10, completion=30), "big-mini": Price(prompt=1, completion=2)})


@pytest.mark.parametrize(
    ("model", "prompt"),
    [
        ("big", 10.0),
        ("big-2026-01-01", 10.0),
        ("big-mini", 1.0),
        ("big-mini-2026", 1.0),
        ("bigger", None),
        ("other", None),
    ],
)
def test_the_longest_name_that_fits_counts(model: str, prompt: float | None) -> None:
    price = TABLE.price(model)
    assert (price.prompt if price else None) == prompt


def test_tokens_are_added_up_and_priced_by_the_million() -> None:
    usage = Usage()
    for _ in range(3):
        usage.add(Answer("", "stop", "big", "h", 1000, 200))
    assert usage.summary(TABLE.price("big")) == {
        "requests": 3, "prompt_tokens": 3000, "completion_tokens": 600, "uncounted": 0, "usd": 0.03 + 0.018,
    }  # fmt: skip


def test_what_is_not_known_is_not_guessed() -> None:
    usage = Usage()
    usage.add(Answer("", "stop", "big", "h", 1000, None))
    assert usage.summary(TABLE.price("big"))["usd"] is None
    assert usage.summary(TABLE.price("big"))["uncounted"] == 1
    assert Usage().summary(None)["usd"] is None


def test_our_table_can_be_read() -> None:
    assert price_table(None).price("gpt-4o-mini-2024-07-18") == Price(prompt=0.15, completion=0.6)
