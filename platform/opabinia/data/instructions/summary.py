"""What came of a step, for people: from its report.json."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

_MOST_REASONS = 5


def render_asked(folder: Path) -> str:
    """What a step asked in all its runs, and what that cost, a line for each model."""
    report = _report(folder)
    return "\n".join(_model(name, counts) for name, counts in report["models"].items())


def render_records(folder: Path) -> str:
    """Counts, what was left out and why, licences, tokens and cost of the records in a folder."""
    report = _report(folder)
    sources = report["sources"].values()
    totals = {name: sum(source[name] for source in sources) for name in ("subjects", "records", "pairs")}
    left_out = totals["subjects"] - totals["records"]
    lines = [f"records:  {totals['records']:,} with {totals['pairs']:,} pairs, of {totals['subjects']:,} subjects"]
    if left_out:
        lines.append(
            f"left out: {left_out:,}: {_most(_summed(report, 'rejected'))}; all in {folder / 'rejected.jsonl'}"
        )
    lines += [f"licence:  {name}: {count:,}" for name, count in _summed(report, "licences").most_common()]
    return "\n".join([*lines, render_asked(folder)])


def next_lines(records: Path, images: Path) -> str:
    """What goes into the experiment file of jobs/prepare_data.py."""
    chosen = {"inputs": [{"files": str(records)}], "images": str(images)}
    lines = yaml.safe_dump({"sets": {"generated": chosen}}, sort_keys=False, allow_unicode=True, width=10_000)
    return f"next: jobs/prepare_data.py, with this in its experiment file\n\n{lines.rstrip()}"


def _report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def _model(name: str, counts: dict[str, Any]) -> str:
    dollars = counts["usd"]
    cost = "cost unknown" if dollars is None else f"{dollars:,.4f} USD"
    uncounted = f", {counts['uncounted']:,} answers uncounted" if counts["uncounted"] else ""
    return (
        f"asked:    {counts['requests']:,} answers of {name}, {counts['prompt_tokens']:,} tokens sent, "
        f"{counts['completion_tokens']:,} answered{uncounted}, {cost}"
    )


def _summed(report: dict[str, Any], name: str) -> Counter[str]:
    total = Counter[str]()
    for source in report["sources"].values():
        total.update(source[name])
    return total


def _most(reasons: Counter[str]) -> str:
    shown = "; ".join(f"{count:,} × {reason}" for reason, count in reasons.most_common(_MOST_REASONS))
    return f"{shown}; …" if len(reasons) > _MOST_REASONS else shown
