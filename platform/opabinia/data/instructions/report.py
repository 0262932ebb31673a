"""What was asked, what it cost and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opabinia.data.instructions.costs import PriceTable, Usage
from opabinia.data.instructions.settling import Outcome


@dataclass(slots=True)
class SourceCount:
    """subjects: those read. records, pairs: those written. licences: licence -> records. rejected: reason -> subjects."""

    subjects: int = 0
    records: int = 0
    pairs: int = 0
    licences: Counter[str] = field(default_factory=Counter[str])
    rejected: Counter[str] = field(default_factory=Counter[str])

    def summary(self) -> dict[str, Any]:
        """As JSON, licences and reasons in alphabetical order."""
        counts = {"subjects": self.subjects, "records": self.records, "pairs": self.pairs}
        licences, rejected = dict(sorted(self.licences.items())), dict(sorted(self.rejected.items()))
        return {**counts, "licences": licences, "rejected": rejected}


@dataclass(slots=True)
class Report:
    """Counts by source and by model; the same for the same answers, however many runs they took."""

    sources: dict[str, SourceCount] = field(default_factory=dict[str, SourceCount])
    usage: dict[str, Usage] = field(default_factory=dict[str, Usage])
    _seen: set[int] = field(default_factory=set[int])

    def source(self, name: str) -> SourceCount:
        """The counts of a source."""
        return self.sources.setdefault(name, SourceCount())

    def add_attempts(self, outcome: Outcome) -> None:
        """Count the answers that an outcome took, each once: equal prompts share theirs."""
        for attempt in outcome.attempts:
            short = int(attempt.request.key[:16], 16)
            if short not in self._seen:
                self._seen.add(short)
                self.usage.setdefault(attempt.answer.model, Usage()).add(attempt.answer)

    def add_record(self, source: str, pairs: int, licence: str | None = None) -> None:
        """Count a record of so many questions and answers; topics have no licence."""
        count = self.source(source)
        count.subjects += 1
        count.records += 1
        count.pairs += pairs
        if licence is not None:
            count.licences[licence] += 1

    def add_rejection(self, source: str, reason: str) -> None:
        """Count a subject that no record is made of."""
        count = self.source(source)
        count.subjects += 1
        count.rejected[reason] += 1

    def summary(self, prices: PriceTable) -> Mapping[str, Any]:
        """As JSON: {records, usd, sources, models}."""
        models = {name: usage.summary(prices.price(name)) for name, usage in sorted(self.usage.items())}
        dollars = [model["usd"] for model in models.values()]
        return {
            "records": sum(count.records for count in self.sources.values()),
            "usd": None if None in dollars else round(sum(dollars), 6),
            "sources": {name: count.summary() for name, count in sorted(self.sources.items())},
            "models": models,
        }
