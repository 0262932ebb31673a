"""The steps of preparing one data set; each is run once for what goes into it, and says so.

A step that chooses records leaves rows.npy: the rows of the index of what was read that stay, rising.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opabinia.data.arrays import load_array, save_array
from opabinia.data.curation.selection import curate
from opabinia.data.curation.settings import CurationConfig, category_table
from opabinia.data.deduplication.contents import load_contents, read_contents, save_contents
from opabinia.data.deduplication.duplicates import deduplicate
from opabinia.data.deduplication.hashing import hash_in_parallel, load_hashes, save_hashes
from opabinia.data.deduplication.leakage import audit_leakage
from opabinia.data.deduplication.settings import DeduplicationConfig, LeakageConfig
from opabinia.data.preparation.index import INDEX_NAME, read_index, read_placed_rows, read_rows
from opabinia.data.preparation.settings import LimitsConfig, ShardingConfig
from opabinia.data.preparation.sharding import UNREADABLE_NAME, GivenRecord, write_prepared
from opabinia.data.preparation.validation import ROWS_NAME, validate
from opabinia.data.prepare_inputs import InputFile, Pictures, read_inputs
from opabinia.data.scramble import scramble
from opabinia.data.steps import run_step, step_folder
from opabinia.data.system_prompts.adding import add_prompts
from opabinia.data.system_prompts.table import PromptTable, SystemPromptConfig, prompt_table

REPORT = "report"
DATA = "data"

_COUNTS = "counts.json"
_HASHES = "pictures.arrow"
_VERSIONS = {"read": 1, "validate": 1, "hash": 1, "deduplicate": 1, "leakage": 1, "curate": 1, "prepared": 1}
"""Raised whenever the same recipe would give something else."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step that is done: its folder, and what it counted, by what that is called."""

    folder: Path
    counts: dict[str, int]

    @property
    def data(self) -> Path:
        """The prepared data set of a step that writes one."""
        return self.folder / DATA

    @property
    def rows(self) -> NDArray[np.int64]:
        """The rows that a step which chooses has left."""
        return load_array(self.folder / ROWS_NAME)


def read_step(home: Path, files: Sequence[InputFile], sharding: ShardingConfig) -> Step:
    """Read the files into shards with an index, as they are. Raises ValueError when none of them holds a record."""

    def make(draft: Path) -> dict[str, int]:
        write_prepared(read_inputs(home.name, files), draft / DATA, sharding)
        unreadable = _lines(draft / DATA / UNREADABLE_NAME)
        return {"records": read_index(draft / DATA).num_rows + unreadable, "unreadable": unreadable}

    recipe = {"files": [asdict(each) for each in files], "sharding": sharding.model_dump()}
    return _take(home, "read", recipe, make)


def validate_step(home: Path, read: Step, pictures: Pictures, limits: LimitsConfig) -> Step:
    """Check every record and picture, and report. Ray must be running."""

    def make(draft: Path) -> dict[str, int]:
        report = validate(read.data, pictures.address, limits, draft / REPORT)
        # Where every step that chooses has them.
        (draft / REPORT / ROWS_NAME).rename(draft / ROWS_NAME)
        return {"sound": report.accepted, "rejected": report.rejected}

    recipe = {"data": read.folder.name, "pictures": pictures.recipe, "limits": limits.model_dump()}
    return _take(home, "validate", recipe, make)


def hash_step(home: Path, read: Step, chosen: Step, pictures: Pictures) -> Step:
    """Note what the chosen records and their pictures are compared by. Ray must be running."""

    def make(draft: Path) -> dict[str, int]:
        contents = read_contents(read_rows(read.data, chosen.rows))
        save_contents(contents, draft)
        save_hashes(hash_in_parallel(contents.names, pictures.address), draft / _HASHES)
        save_array(chosen.rows, draft / ROWS_NAME)
        return {"records": len(contents.texts), "pictures": len(contents.names)}

    recipe = {"data": read.folder.name, "rows": chosen.folder.name, "pictures": pictures.recipe}
    return _take(home, "hash", recipe, make)


def deduplicate_step(home: Path, hashed: Step, settings: DeduplicationConfig) -> Step:
    """Keep the first of records that are copies of each other."""

    def make(draft: Path) -> dict[str, int]:
        contents, hashes = load_contents(hashed.folder), load_hashes(hashed.folder / _HASHES)
        found = deduplicate(settings, hashed.rows, contents, hashes, draft)
        return {"kept": len(found.rows), "duplicates": len(found.dropped)}

    return _take(home, "deduplicate", {"hashes": hashed.folder.name, "settings": settings.model_dump()}, make)


def leakage_step(
    home: Path, hashed: Step, chosen: Step, settings: LeakageConfig, benchmarks: Mapping[str, Pictures]
) -> Step:
    """Compare the chosen records' pictures with the benchmarks'; its rows are those that show none of these. Ray must be running."""

    def make(draft: Path) -> dict[str, int]:
        contents, rows = load_contents(hashed.folder), chosen.rows
        among = np.isin(hashed.rows, rows)
        shown = contents.shown_by(among)
        trained = (each for each, seen in zip(load_hashes(hashed.folder / _HASHES), shown, strict=True) if seen)
        asked = {name: hash_in_parallel(each.names, each.address) for name, each in benchmarks.items()}
        found = audit_leakage(settings, trained, asked, draft)
        within_reach = frozenset(found.leaked)
        leaked = among & contents.showing(np.array([name in within_reach for name in contents.names], dtype=np.bool_))
        save_array(hashed.rows[among & ~leaked], draft / ROWS_NAME)
        total = found.total
        return {
            "benchmark pictures": total.pictures,
            "trained on": total.matched,
            "records show them": int(leaked.sum()),
        }

    asked_of = {name: each.recipe for name, each in benchmarks.items()}
    recipe = {"hashes": hashed.folder.name, "rows": chosen.folder.name, "distance": settings.distance}
    return _take(home, "leakage", recipe | {"benchmarks": asked_of}, make)


def curate_step(home: Path, read: Step, chosen: Step, settings: CurationConfig) -> Step:
    """Choose among the rows."""

    def make(draft: Path) -> dict[str, int]:
        rows = _some_rows(home, chosen)
        selection = curate(settings, read.data / INDEX_NAME, draft, rows)
        return {"kept": len(selection.rows), "left out": len(rows) - len(selection.rows)}

    # What the preset and the table say, not what they are called: both can be edited.
    table = category_table(settings)
    given = settings.model_dump(include={"shortfall", "seed"}) | settings.resolved.model_dump(exclude={"published"})
    recipe = {"data": read.folder.name, "rows": chosen.folder.name, "settings": given, "table": table.model_dump()}
    return _take(home, "curate", recipe, make)


def write_step(
    home: Path, read: Step, chosen: Step, prompts: SystemPromptConfig | None, sharding: ShardingConfig, seed: int
) -> Step:
    """Write the chosen records, with the prompts that their sources get, as a prepared data set."""
    table = None if prompts is None else prompt_table(prompts)

    def make(draft: Path) -> dict[str, int]:
        rows = _some_rows(home, chosen)
        placed = read_placed_rows(read.data, deal(rows, sharding.shard_size, seed))
        write_prepared(_prompted(placed, table), draft / DATA, sharding)
        return {"records": len(rows)}

    recipe: dict[str, Any] = {"data": read.folder.name, "rows": chosen.folder.name, "seed": seed}
    recipe |= {"sharding": sharding.model_dump(), "prompts": table and table.model_dump()}
    return _take(home, "prepared", recipe, make)


def deal(rows: NDArray[np.int64], shard_size: int, seed: int) -> NDArray[np.int64]:
    """The rows in the order they are written in: each shard a random draw from all of them, rising within.

    Training goes from shard to shard, and published files hold one source after the other.
    """
    start = scramble(np.array([seed % 2**64], dtype=np.uint64))
    order = rows[np.argsort(scramble(np.arange(len(rows), dtype=np.uint64) + start), kind="stable")]
    shards = [np.sort(order[first : first + shard_size]) for first in range(0, len(rows), shard_size)]
    return np.concatenate([np.empty(0, dtype=np.int64), *shards])


def _prompted(
    placed: Iterator[tuple[str | None, int | None, dict[str, Any]]], table: PromptTable | None
) -> Iterator[GivenRecord]:
    for file, line, record in placed:
        yield file, line, record if table is None else add_prompts(record, table)


def _take(home: Path, name: str, recipe: Mapping[str, Any], make: Callable[[Path], dict[str, int]]) -> Step:
    """Run a step unless it is done; prints its name before and what came of it after."""
    recipe = {"version": _VERSIONS[name], **recipe}
    done = step_folder(home, name, recipe).is_dir()
    print(f"{home.name}: {name}: ", end="", flush=True)

    def make_and_count(draft: Path) -> None:
        (draft / _COUNTS).write_text(json.dumps(make(draft)) + "\n")

    try:
        folder = run_step(home, name, recipe, make_and_count)
    except BaseException:
        print("stopped", flush=True)
        raise
    counts: dict[str, int] = json.loads((folder / _COUNTS).read_text())
    text = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    print(f"{'unchanged, ' if done else ''}{text} ({folder})", flush=True)
    return Step(folder, counts)


def _some_rows(home: Path, chosen: Step) -> NDArray[np.int64]:
    rows = chosen.rows
    if not len(rows):
        raise ValueError(
            f"sets.{home.name}: no record is left after {chosen.folder.name}; see what is in {chosen.folder}"
        )
    return rows


def _lines(file: Path) -> int:
    with file.open("rb") as lines:
        return sum(1 for _ in lines)
