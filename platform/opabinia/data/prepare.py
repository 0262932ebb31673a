"""From published files to the shards that training reads.

Every set of the settings goes the same way, each step in a folder of its own that is named after what goes into it:

    OUTPUT/SET/read-…         what the files hold, as shards with an index
              /validate-…     which records can be used, and a report on all
              /hash-…         what texts and pictures are compared by
              /deduplicate-…  which are copies
              /leakage-…      which show a benchmark's picture
              /curate-…       which are chosen
              /prepared-…     the chosen ones, with their prompts, dealt over shards
              /newest         leads to the data of the newest prepared-…

So a step whose settings and inputs are as they were is not run again, a killed job goes on after the last step that was done, and what
an experiment reads is never changed under it. Folders that no longer serve can be deleted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from opabinia.data.preparation.page import PAGE_NAME
from opabinia.data.prepare_config import LeakageAuditConfig, PrepareConfig, SetConfig
from opabinia.data.prepare_inputs import Found, find_all
from opabinia.data.prepare_steps import (
    DATA,
    REPORT,
    Step,
    curate_step,
    deduplicate_step,
    hash_step,
    leakage_step,
    read_step,
    validate_step,
    write_step,
)
from opabinia.data.steps import RECIPE_NAME, sole_writer
from opabinia.storage.failures import clear_local_errors
from opabinia.storage.folders import upload_folder
from opabinia.storage.objects import copy_file, exists

NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A set that is ready: its data and images, what every step counted, what there is to look at, and where it was copied to."""

    name: str
    data: Path
    images: str
    counts: dict[str, int]
    reports: tuple[Path, ...]
    uploaded: str | None


def prepare(settings: PrepareConfig) -> list[Prepared]:
    """Prepare every set, in the order of the settings; prints each step.

    Ray must be running. Raises ValueError, one line, for whatever keeps a set from being prepared; steps that are done stay.
    """
    found = find_all(settings)
    return [_prepare_set(name, settings, found[name]) for name in settings.sets]


def render(prepared: Sequence[Prepared]) -> str:
    """What a job ends with: the counts of every set, where to look, and the lines for an experiment file."""
    found = list[str]()
    for each in prepared:
        found.append(f"{each.name}: {', '.join(f'{count:,} {what}' for what, count in each.counts.items())}")
        found += [f"  {file}" for file in each.reports]
    sources = {each.name: {"shards": each.uploaded or str(each.data), "images": each.images} for each in prepared}
    lines = yaml.safe_dump({"data": {"sources": sources}}, sort_keys=False, allow_unicode=True, width=10_000)
    output = prepared[0].data.parents[2]
    newest = f"# {output}/NAME/{NEWEST} always leads to the newest shards of a set."
    return "\n".join([*found, "", "For an experiment file:", "", f"{lines}{newest}"])


def _prepare_set(name: str, settings: PrepareConfig, found: Found) -> Prepared:
    home, chosen = settings.output.absolute() / name, settings.sets[name]
    with sole_writer(home):
        read = read_step(home, found.files, settings.sharding)
        sound = validate_step(home, read, found.pictures, settings.limits)
        _check_rejected(name, read, sound, settings.max_rejected)
        left, steps = _choose(home, read, sound, found, chosen, settings.leakage)
        prepared = write_step(home, read, left, chosen.system_prompts, settings.sharding, settings.seed)
        _point_to(prepared.data, home / NEWEST)
    steps = {"read": read, "validate": sound, **steps, "prepared": prepared}
    return Prepared(
        name=name,
        data=prepared.data,
        images=found.pictures.address,
        counts=_counts(steps, removed=settings.leakage is not None and settings.leakage.remove),
        reports=_reports(steps),
        uploaded=None if settings.upload is None else _upload(prepared, f"{settings.upload.rstrip('/')}/{name}"),
    )


def _choose(
    home: Path, read: Step, left: Step, found: Found, chosen: SetConfig, leakage: LeakageAuditConfig | None
) -> tuple[Step, dict[str, Step]]:
    """The last step that left records out, and all that chose or compared, by name."""
    steps = dict[str, Step]()
    if chosen.deduplication or (leakage and leakage.remove):
        steps["hash"] = hash_step(home, read, left, found.pictures)
    if chosen.deduplication:
        left = steps["deduplicate"] = deduplicate_step(home, steps["hash"], chosen.deduplication)
    if leakage and leakage.remove:
        left = steps["leakage"] = leakage_step(home, steps["hash"], left, leakage, found.benchmarks)
    if chosen.curation:
        left = steps["curate"] = curate_step(home, read, left, chosen.curation)
    if leakage and not leakage.remove:
        hashed = steps.get("hash") or hash_step(home, read, left, found.pictures)
        steps["leakage"] = leakage_step(home, hashed, left, leakage, found.benchmarks)
    return left, steps


def _check_rejected(name: str, read: Step, sound: Step, limit: float) -> None:
    records, rejected = read.counts["records"], sound.counts["rejected"]
    if sound.counts["sound"] and rejected <= limit * records:
        return
    raise ValueError(
        f"sets.{name}: {rejected:,} of {records:,} records rejected ({rejected / records:.1%}, max_rejected {limit:.1%}); "
        f"the reasons are in {sound.folder / REPORT / PAGE_NAME}"
    )


def _counts(steps: Mapping[str, Step], *, removed: bool) -> dict[str, int]:
    counts = {"records in": steps["read"].counts["records"], "rejected": steps["validate"].counts["rejected"]}
    if "deduplicate" in steps:
        counts["duplicates"] = steps["deduplicate"].counts["duplicates"]
    if "leakage" in steps:
        counts["leaked and removed" if removed else "leaked and kept"] = steps["leakage"].counts["records show them"]
    if "curate" in steps:
        counts["left out by curation"] = steps["curate"].counts["left out"]
    return {**counts, "prepared": steps["prepared"].counts["records"]}


def _reports(steps: Mapping[str, Step]) -> tuple[Path, ...]:
    places = {
        "validate": (f"{REPORT}/{PAGE_NAME}",),
        "deduplicate": ("duplicates.jsonl",),
        "leakage": ("leakage.json", "matches.jsonl"),
        "curate": ("summary.json", "sources.png"),
    }
    return tuple(steps[name].folder / file for name, files in places.items() if name in steps for file in files)


def _point_to(data: Path, link: Path) -> None:
    """Make `link` lead to the data; whoever follows it finds those of before or these."""
    unfinished = link.with_name(f".{link.name}.partial")
    with clear_local_errors(link, "write"):
        unfinished.unlink(missing_ok=True)
        # Relative, so that the output folder can be moved.
        unfinished.symlink_to(data.relative_to(link.parent))
        os.replace(unfinished, link)


def _upload(prepared: Step, address: str) -> str:
    """Copy the data to below `address`, unless they are there; the recipe comes last and says that all are."""
    folder = f"{address}/{prepared.folder.name}"
    marker = f"{folder}/{RECIPE_NAME}"
    if not exists(marker):
        upload_folder(prepared.data, f"{folder}/{DATA}")
        copy_file(prepared.folder / RECIPE_NAME, marker)
    return f"{folder}/{DATA}"
