"""Errors that would come again, however often a run is tried."""

from __future__ import annotations


class LastingError(ValueError):
    """Ends a run at once: workers that begin anew from the last checkpoint would only meet it again."""
