"""Waiting as long as the server asks, else longer each time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.data.instructions.retry import PatienceConfig, may_be_repeated, retry_after_s, wait_s

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("3", 3.0), ("0", 0.0), ("-5", 0.0), ("soon", None), ("", None),
     (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
     (format_datetime(NOW - timedelta(hours=1), usegmt=True), 0.0),
     ("Sat, 21 Nov 2026 12:00:05 -0000", 5.0)],
)  # fmt: skip
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOW) == seconds


@given(st.integers(1, 200))
def test_waits_double_up_to_the_longest_and_vary(failures: int) -> None:
    patience = PatienceConfig(first_wait_s=1.0, longest_wait_s=60.0)
    full = min(60.0, 2.0 ** (failures - 1))
    assert full / 2 <= wait_s(patience, failures) <= full


def test_only_what_may_pass_is_repeated() -> None:
    assert all(map(may_be_repeated, (408, 425, 429, 500, 502, 503, 504, 529)))
    assert not any(map(may_be_repeated, (400, 401, 403, 404, 413, 422)))
