"""Fill the feature table: encode what it lacks, in one pass over the pictures, with Ray Data."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.data import ActorPoolStrategy

from opabinia.data.pipeline import TASK_CPUS, configure_context, free_cpus, one_item_a_block
from opabinia.features.encoder_source import CatalogueSource, Column, EncoderSource
from opabinia.features.encoding import FragmentEncoder
from opabinia.features.rows import (
    ColumnFile,
    commit_files,
    delete_rows,
    ensure_columns,
    ensure_rows,
    is_filled,
    physical_keys,
)

if TYPE_CHECKING:
    from opabinia.features.rows import LanceTable

Outcome = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    rows: pictures in the table.
    bytes: bytes of features that were written.
    seconds: per encoder that was computed, its time for encoding and writing, summed over all processes.
    skipped: encoders whose features were all there.
    """

    rows: int
    bytes: int
    seconds: dict[str, float]
    skipped: tuple[str, ...]


def build_features(
    folder: Path | str,
    images: Mapping[str, str],
    encoder_ids: Sequence[str],
    *,
    batch: int = 64,
    source: EncoderSource | None = None,
) -> BuildReport:
    """Make the table hold the features of `images` (sha256 of the file -> its path) for every encoder.

    Only what is missing is computed, and nothing that is stored is rewritten. Ray must be running. Each finished
    fragment is committed at once, so that a build that is killed is continued by the next.
    Raises ValueError when there are no images, an encoder is unknown, or some could not be computed; the others are
    stored all the same.
    """
    if not images:
        raise ValueError("features: there are no pictures to encode; check the images folders of data.sources")
    source = source or CatalogueSource()
    columns = {encoder: source.column(encoder) for encoder in dict.fromkeys(encoder_ids)}
    table = ensure_columns(ensure_rows(Path(folder).absolute(), images), columns.values())
    work = _plan(table, images, columns)
    needed = {encoder for item in work for encoder in item["encoders"]}
    outcomes = list[Outcome]()
    for finished in _encode(table, work, source, batch) if work else ():
        table = commit_files(table, [_column_file(outcome, columns) for outcome in finished if not outcome["error"]])
        outcomes += finished
    _raise_failures(outcomes)
    return BuildReport(
        rows=table.count_rows(),
        bytes=sum(outcome["bytes"] for outcome in outcomes),
        seconds=_seconds(outcomes),
        skipped=tuple(encoder for encoder in columns if encoder not in needed),
    )


def _plan(table: LanceTable, images: Mapping[str, str], columns: Mapping[str, Column]) -> list[dict[str, Any]]:
    """One item per fragment that lacks something: {fragment, encoders, paths}, "" for the path of a deleted row."""
    work, gone = list[dict[str, Any]](), list[str]()
    for fragment in table.get_fragments():
        lacking = [encoder for encoder, column in columns.items() if not is_filled(table, fragment, column.name)]
        if not lacking:
            continue
        keys = physical_keys(fragment)
        gone += [key for key in keys if key is not None and key not in images]
        # The actors may run in another working folder.
        paths = [os.path.abspath(images[key]) if key is not None and key in images else "" for key in keys]
        work.append({"fragment": fragment.fragment_id, "encoders": lacking, "paths": paths})
    # A picture that the data no longer hold cannot be encoded; without its row, no reader takes zeros for features.
    delete_rows(table, gone)
    return [item for item in work if any(item["paths"])]


def _encode(
    table: LanceTable, work: Sequence[dict[str, Any]], source: EncoderSource, batch: int
) -> Iterator[list[Outcome]]:
    """Outcomes, fragment by fragment, as they come."""
    free = free_cpus()
    dataset = one_item_a_block(work).map_batches(
        FragmentEncoder,
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=max(1, min(free, len(work)))),
        num_cpus=1 if free else TASK_CPUS,
        fn_constructor_kwargs={
            "folder": table.uri,
            "version": table.data_storage_version,
            "encoder_ids": list(dict.fromkeys(encoder for item in work for encoder in item["encoders"])),
            "source": source,
            "batch": batch,
            "threads": 1,
        },
    )
    configure_context(dataset)
    # A finished fragment need not wait for an earlier one.
    dataset.context.execution_options.preserve_order = False
    for block in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
        by_fragment = defaultdict[int, list[Outcome]](list)
        for outcome in block.to_pylist():
            by_fragment[outcome["fragment"]].append(outcome)
        yield from by_fragment.values()


def _column_file(outcome: Outcome, columns: Mapping[str, Column]) -> ColumnFile:
    name = columns[outcome["encoder"]].name
    return ColumnFile(outcome["fragment"], name, outcome["file"], outcome["bytes"])


def _seconds(outcomes: Sequence[Outcome]) -> dict[str, float]:
    seconds = defaultdict[str, float](float)
    for outcome in outcomes:
        seconds[outcome["encoder"]] += outcome["seconds"]
    return dict(seconds)


def _raise_failures(outcomes: Sequence[Outcome]) -> None:
    failures = dict[str, str]()
    for outcome in outcomes:
        if outcome["error"]:
            failures.setdefault(outcome["encoder"], outcome["error"])
    if failures:
        reasons = "; ".join(f"{encoder}: {reason}" for encoder, reason in failures.items())
        raise ValueError(f"features: {reasons}. What could be computed is stored")
