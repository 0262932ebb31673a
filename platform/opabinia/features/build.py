"""Fill the feature table: encode what it lacks, in one pass over the pictures, with Ray Data."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.data import ActorPoolStrategy

from opabinia.data.pipeline import configure_context, one_item_a_block
from opabinia.features.encoder_source import CatalogueSource, Column, EncoderSource
from opabinia.features.encoding import FragmentEncoder
from opabinia.features.plan import missing_bytes
from opabinia.features.precision import Precision
from opabinia.features.room import check_room, sole_builder
from opabinia.features.rounding import column_rounding
from opabinia.features.rows import (
    ColumnFile,
    commit_files,
    delete_rows,
    describe_column,
    ensure_columns,
    ensure_rows,
    is_filled,
    physical_keys,
    remove_unfinished,
    stated_of,
)
from opabinia.features.workers import Workers, free_workers

if TYPE_CHECKING:
    from opabinia.encoders.pixels import Decoding
    from opabinia.features.rows import LanceTable

Outcome = dict[str, Any]
_ERROR = "relative_error"


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    rows: pictures in the table.
    bytes: bytes of features that were written.
    seconds: per encoder that was computed, its time for encoding and writing, summed over all processes.
    skipped: encoders whose features were all there.
    errors: per encoder, how far what is stored is from what it gave, relative to that (Frobenius norms over all pictures).
    """

    rows: int
    bytes: int
    seconds: dict[str, float]
    skipped: tuple[str, ...]
    errors: dict[str, float]


def build_features(
    folder: Path | str,
    images: Mapping[str, str],
    encoder_ids: Sequence[str],
    *,
    precision: Precision = "float16",
    budget_gb: float | None = None,
    batch: int = 64,
    decoding: Decoding = "full",
    source: EncoderSource | None = None,
) -> BuildReport:
    """Make the table hold the features of `images` (sha256 of the file -> its path) for every encoder.

    Only what is missing is computed, and nothing that is stored is rewritten. Ray must be running. Each finished
    fragment is committed at once, so that a build that is killed is continued by the next.
    Raises ValueError when there are no images, an encoder is unknown, the table is stored in another precision, the disk or
    the budget (of the whole table) is too small, or some could not be computed; the others are stored all the same.
    """
    if not images:
        raise ValueError("features: there are no pictures to encode; check the images folders of data.sources")
    folder, workers = Path(folder).absolute(), free_workers()
    source = source or CatalogueSource(workers.device, workers.threads, decoding)
    columns = {name: replace(source.column(name), precision=precision) for name in dict.fromkeys(encoder_ids)}
    with sole_builder(folder):
        remove_unfinished(folder)
        check_room(folder, missing_bytes(folder, list(images), list(columns.values())), budget_gb)
        table = ensure_columns(ensure_rows(folder, images), columns.values())
        work = _plan(table, images, columns)
        outcomes = list[Outcome]()
        for finished in _encode(table, work, columns, source, batch, workers) if work else ():
            table = commit_files(
                table, [_column_file(outcome, columns) for outcome in finished if not outcome["error"]]
            )
            outcomes += finished
        errors = _state_errors(table, columns, {outcome["encoder"] for outcome in outcomes})
    _raise_failures(outcomes)
    needed = {encoder for item in work for encoder in item["encoders"]}
    return BuildReport(
        rows=table.count_rows(),
        bytes=sum(outcome["bytes"] for outcome in outcomes),
        seconds=_seconds(outcomes),
        skipped=tuple(encoder for encoder in columns if encoder not in needed),
        errors=errors,
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
    table: LanceTable,
    work: Sequence[dict[str, Any]],
    columns: Mapping[str, Column],
    source: EncoderSource,
    batch: int,
    workers: Workers,
) -> Iterator[list[Outcome]]:
    """Outcomes, fragment by fragment, as they come."""
    needed = {encoder for item in work for encoder in item["encoders"]}
    dataset = one_item_a_block(work).map_batches(
        FragmentEncoder,
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=min(workers.count, len(work))),
        num_cpus=workers.cpus,
        num_gpus=workers.gpus,
        fn_constructor_kwargs={
            "folder": table.uri,
            "version": table.data_storage_version,
            "columns": {encoder: column for encoder, column in columns.items() if encoder in needed},
            "source": source,
            "batch": batch,
            "threads": workers.threads,
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
    names = columns[outcome["encoder"]].names
    return ColumnFile(outcome["fragment"], names, outcome["file"], outcome["bytes"])


def _state_errors(table: LanceTable, columns: Mapping[str, Column], written: Collection[str]) -> dict[str, float]:
    """Relative error per encoder, which its field is told unless it was told before and nothing was written since."""
    errors = dict[str, float]()
    for encoder, column in columns.items():
        stated = stated_of(table, column.name).get(_ERROR)
        if encoder in written or stated is None:
            stated = repr(column_rounding(table, column.name).relative_error)
            describe_column(table, column.name, {_ERROR: stated})
        errors[encoder] = float(stated)
    return errors


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
