"""What a data set holds, in counts that can be added up and do not grow with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import ceil, floor, log2

PIXEL_STEPS_PER_OCTAVE = 2
NO_RECORD = "(no record)"
"""Stands for the source of a line that is no record."""


def octave(count: int) -> int:
    """The bin of a count among 0, 1, 2–3, 4–7, 8–15, …: bin b > 0 begins at 2 to the power b − 1."""
    return count.bit_length()


def pixel_bin(pixels: int) -> int:
    """The bin of a length in pixels, of which PIXEL_STEPS_PER_OCTAVE make a doubling; bin b begins at 2 to the b / steps."""
    return floor(log2(pixels) * PIXEL_STEPS_PER_OCTAVE)


def octave_bins(counts: Mapping[str, int]) -> list[tuple[int, int, int]]:
    """Counts by `octave` as (least number, greatest number, count), rising and without gaps."""
    if not counts:
        return []
    bins = range(min(map(int, counts)), max(map(int, counts)) + 1)
    return [((1 << number) >> 1, (1 << number) - 1, counts.get(str(number), 0)) for number in bins]


def first_pixel(number: int) -> int:
    """The least length, in whole pixels, of a `pixel_bin`."""
    return ceil(2 ** (number / PIXEL_STEPS_PER_OCTAVE))


@dataclass(slots=True)
class Tally:
    """Counts by name of what they count; all but `records`, `rejected` and `kinds` are over accepted records alone.

    records, rejected: by source. kinds: rejected records by check. images, words, turns: sums by source. word_octaves, turn_octaves,
    image_octaves: records by `octave` of their words, turns and pictures. formats: pictures by file format. shapes: pictures by "W,H",
    the `pixel_bin` of their width and height. A picture counts in every record that shows it.
    """

    records: Counter[str] = field(default_factory=Counter[str])
    rejected: Counter[str] = field(default_factory=Counter[str])
    kinds: Counter[str] = field(default_factory=Counter[str])
    images: Counter[str] = field(default_factory=Counter[str])
    words: Counter[str] = field(default_factory=Counter[str])
    turns: Counter[str] = field(default_factory=Counter[str])
    word_octaves: Counter[str] = field(default_factory=Counter[str])
    turn_octaves: Counter[str] = field(default_factory=Counter[str])
    image_octaves: Counter[str] = field(default_factory=Counter[str])
    formats: Counter[str] = field(default_factory=Counter[str])
    shapes: Counter[str] = field(default_factory=Counter[str])

    def add_accepted(self, source: str, *, words: int, turns: int, images: int) -> None:
        """Count a record that can be used."""
        self.records[source] += 1
        self.images[source] += images
        self.words[source] += words
        self.turns[source] += turns
        self.word_octaves[str(octave(words))] += 1
        self.turn_octaves[str(octave(turns))] += 1
        self.image_octaves[str(octave(images))] += 1

    def add_picture(self, width: int, height: int, format: str) -> None:
        """Count a picture of an accepted record; both sides in pixels."""
        self.formats[format] += 1
        self.shapes[f"{pixel_bin(width)},{pixel_bin(height)}"] += 1

    def add_rejected(self, source: str, kind: str) -> None:
        """Count a record that cannot be used."""
        self.records[source] += 1
        self.rejected[source] += 1
        self.kinds[kind] += 1

    def add(self, other: Tally) -> None:
        """Count everything that another tally has counted."""
        for each in fields(self):
            getattr(self, each.name).update(getattr(other, each.name))

    def shape_bins(self) -> list[tuple[tuple[int, int], int]]:
        """Pictures by the `pixel_bin` of width and height, rising."""
        pairs = ((shape.split(","), count) for shape, count in self.shapes.items())
        return sorted(((int(width), int(height)), count) for (width, height), count in pairs)

    def as_counts(self) -> dict[str, dict[str, int]]:
        """Every counter as a plain dictionary, by its name."""
        return {each.name: dict(getattr(self, each.name)) for each in fields(self)}


def tally_of(counts: Mapping[str, Mapping[str, int]]) -> Tally:
    """The tally whose `as_counts` this is."""
    return Tally(**{name: Counter(values) for name, values in counts.items()})
