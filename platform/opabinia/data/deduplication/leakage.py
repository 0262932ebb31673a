"""Which pictures of the benchmarks are among those trained on.

A seen picture is not a seen question: Tong et al. 2024 (appendix, Table 20) count pictures too, by equal difference hashes, and find
14.62 % of the benchmarks' pictures in Cambrian-10M and 2.07 % in LLaVA-665k.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from opabinia.data.deduplication.near import Once, by_age, near_pairs
from opabinia.data.deduplication.pictures import PictureHash, gather_hashes
from opabinia.data.deduplication.settings import LeakageConfig
from opabinia.data.scramble import Words
from opabinia.storage.atomic import whole_text


@dataclass(frozen=True, slots=True)
class Match:
    """A benchmark's picture that is among those trained on: the nearest of them (of equals the first), and how many there are."""

    benchmark: str
    picture: str
    trained: str
    bits: int
    copies: int


@dataclass(frozen=True, slots=True)
class BenchmarkLeakage:
    """Pictures of one benchmark: all that could be read, and those that were trained on."""

    benchmark: str
    pictures: int
    matched: int
    percent: float


@dataclass(frozen=True, slots=True)
class Leakage:
    """What is leaked.

    benchmarks: each, and all of them together as `total`. trained: pictures trained on that could be read. leaked: the paths of those
    within reach of a benchmark's picture. unreadable: path -> why.
    """

    benchmarks: tuple[BenchmarkLeakage, ...]
    total: BenchmarkLeakage
    trained: int
    leaked: tuple[str, ...]
    matches: tuple[Match, ...]
    unreadable: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Near:
    """The nearest of the different hashes trained on and its distance in bits; the pictures within reach, and all their hashes."""

    place: int
    bits: int
    copies: int
    all: frozenset[int]


def find_leakage(
    settings: LeakageConfig, trained: Iterable[PictureHash], benchmarks: Mapping[str, Iterable[PictureHash]]
) -> Leakage:
    """Compare every picture of each benchmark with all pictures trained on; pictures that cannot be read are listed, not counted."""
    seen = gather_hashes(trained)
    once = by_age(seen.differences)
    unreadable = dict(seen.problems)
    rows, matches, touched = list[BenchmarkLeakage](), list[Match](), set[int]()
    for name, pictures in benchmarks.items():
        asked = gather_hashes(pictures)
        unreadable |= {f"{name}: {path}": problem for path, problem in asked.problems.items()}
        matched = 0
        for path, near in zip(asked.paths, _nearest(asked.differences, once, settings.distance), strict=True):
            if near is not None:
                matched += 1
                touched |= near.all
                matches.append(Match(name, path, seen.paths[int(once.first[near.place])], near.bits, near.copies))
        rows.append(_row(name, len(asked.paths), matched))
    total = _row("all", sum(row.pictures for row in rows), len(matches))
    places = np.flatnonzero(np.isin(once.which, sorted(touched)))
    leaked = tuple(seen.paths[place] for place in places.tolist())
    return Leakage(tuple(rows), total, len(seen.paths), leaked, tuple(matches), unreadable)


def audit_leakage(
    settings: LeakageConfig,
    trained: Iterable[PictureHash],
    benchmarks: Mapping[str, Iterable[PictureHash]],
    folder: Path,
) -> Leakage:
    """Compare pictures as `find_leakage` does.

    Writes leakage.json (counts and percentages) and matches.jsonl (one line for each match) into the folder.
    """
    found = find_leakage(settings, trained, benchmarks)
    with whole_text(folder / "matches.jsonl") as text:
        for match in found.matches:
            text.write(json.dumps(asdict(match), ensure_ascii=False) + "\n")
    with whole_text(folder / "leakage.json") as text:
        text.write(json.dumps({"distance": settings.distance} | _counts(found), indent=1, ensure_ascii=False) + "\n")
    return found


def _counts(found: Leakage) -> dict[str, object]:
    return {
        "benchmarks": [asdict(row) for row in found.benchmarks],
        "total": asdict(found.total),
        "trained": found.trained,
        "trained_matched": len(found.leaked),
        "unreadable": found.unreadable,
    }


def _nearest(asked: Words, trained: Once, distance: int) -> list[_Near | None]:
    """For each hash asked about: the nearest of those trained on, or None where none is within reach."""
    own = by_age(asked)
    found = dict[int, list[tuple[int, int]]]()
    for place, other in near_pairs(own.hashes, trained.hashes, distance).tolist():
        bits = int(np.bitwise_count(own.hashes[place] ^ trained.hashes[other]))
        found.setdefault(place, []).append((bits, other))
    near = {place: _near(sorted(others), trained) for place, others in found.items()}
    return [near.get(place) for place in own.which.tolist()]


def _near(others: Sequence[tuple[int, int]], trained: Once) -> _Near:
    places = [place for _, place in others]
    bits, nearest = others[0]
    return _Near(nearest, bits, int(trained.counts[places].sum()), frozenset(places))


def _row(name: str, pictures: int, matched: int) -> BenchmarkLeakage:
    return BenchmarkLeakage(name, pictures, matched, round(100 * matched / pictures, 2) if pictures else 0.0)
