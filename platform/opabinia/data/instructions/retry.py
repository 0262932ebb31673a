"""When a failed request is sent again."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pydantic import Field

from opabinia.config import Config

_TRY_LATER = frozenset({408, 409, 425, 429})


class PatienceConfig(Config):
    """How a request that failed is repeated: later and later, and as late as the server asks."""

    tries: int = Field(default=7, ge=1)
    """How often a request is sent in all."""

    first_wait_s: float = Field(default=1.0, ge=0)
    """Seconds before the second time, at most; doubled for each that follows."""

    longest_wait_s: float = Field(default=120.0, ge=0)
    """Most seconds between two; a server that asks for more is given up."""


def may_be_repeated(status: int) -> bool:
    """Whether the same request may succeed later: the server is busy or broken, not the request wrong."""
    return status in _TRY_LATER or status >= 500


def wait_s(patience: PatienceConfig, failures: int) -> float:
    """Seconds to wait after the `failures`th failure (from 1): drawn, so that clients that failed together part ways."""
    longest = min(patience.longest_wait_s, patience.first_wait_s * 2 ** min(failures - 1, 30))
    return longest * random.uniform(0.5, 1)


def retry_after_s(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, §10.2.3: a number or a date); None when it says nothing."""
    if value is None:
        return None
    try:
        return max(0.0, float(int(value)))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    # A date without a zone ("-0000") is UTC too.
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
