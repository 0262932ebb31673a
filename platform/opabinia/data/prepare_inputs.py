"""The files that preparing starts from: which they are, and in which version."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opabinia.data.curation.settings import category_table
from opabinia.data.deduplication.records import picture_names
from opabinia.data.preparation.reading import FoundRecord, RejectedLine, find_files, read_file, read_records
from opabinia.data.prepare_config import BenchmarkPicturesConfig, InputConfig, PrepareConfig
from opabinia.data.system_prompts.table import prompt_table
from opabinia.storage.addresses import absolute_address, parse_address
from opabinia.storage.folders import list_files
from opabinia.storage.versions import file_version, folder_version

_PICTURE = re.compile(r".*\.(avif|bmp|gif|jfif|jpe?g|png|tiff?|webp)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class InputFile:
    """A published file, its version, and the source of its records that name none."""

    file: str
    version: str
    source: str | None


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures below an address, the version of all that lies there, and the `names` of those meant where not all are."""

    address: str
    version: str
    names: tuple[str, ...] = ()

    @property
    def recipe(self) -> dict[str, str]:
        """What decides which pictures these are, and what they show."""
        names = hashlib.sha256("\0".join(self.names).encode()).hexdigest()[:16]
        return {"address": self.address, "version": self.version, "names": names}


@dataclass(frozen=True, slots=True)
class Found:
    """What a set is prepared from, as it was before the first step: its files, its pictures, and the benchmarks' by name."""

    files: tuple[InputFile, ...]
    pictures: Pictures
    benchmarks: Mapping[str, Pictures]


def find_all(settings: PrepareConfig) -> dict[str, Found]:
    """What each set is prepared from. Raises ValueError for whatever is misspelt: the steps that would find it may be hours away."""
    output = settings.output.absolute()
    asked = settings.leakage.benchmarks.items() if settings.leakage else ()
    benchmarks = {name: benchmark_pictures(name, each, output) for name, each in asked}
    found = dict[str, Found]()
    for name, each in settings.sets.items():
        pictures = find_pictures(f"sets.{name}.images", each.images, output)
        found[name] = Found(tuple(find_inputs(output / name, each.inputs)), pictures, benchmarks)
        if each.system_prompts:
            prompt_table(each.system_prompts)
        if each.curation:
            category_table(each.curation)
    return found


def find_inputs(home: Path, inputs: Sequence[InputConfig]) -> list[InputFile]:
    """The files that inputs mean, each once. Raises ValueError where there are none, or one lies in the output folder."""
    sources = dict[str, str | None]()
    for each in inputs:
        for file in find_files([absolute_address(each.files)]):
            sources.setdefault(file, each.source)
    output = home.parent
    for file in sources:
        place = parse_address(file)
        if isinstance(place, Path) and place.resolve().is_relative_to(output.resolve()):
            raise ValueError(
                f"sets.{home.name}.inputs: {file} lies in the output folder {output}; choose another for it"
            )
    return [InputFile(file, file_version(file), source) for file, source in sources.items()]


def read_inputs(name: str, files: Sequence[InputFile]) -> Iterator[FoundRecord]:
    """Every record of the files of the set `name`, with a source. Raises ValueError, after the last, when there was none."""
    records, first_rejected = 0, ""
    for each in files:
        for file, line, content in read_file(each.file):
            if isinstance(content, RejectedLine):
                first_rejected = first_rejected or f"; {file}:{line}: {content.reason}"
                yield file, line, content
                continue
            records += 1
            yield file, line, _with_source(content, each.source)
    if not records:
        raise ValueError(f"sets.{name}.inputs: no record in {len(files)} file(s){first_rejected}; correct the address")


def find_pictures(field: str, address: str, output: Path) -> Pictures:
    """The pictures below the address that a field gives. Raises ValueError where that is no folder, or the output lies in it."""
    place = parse_address(address)
    if isinstance(place, Path):
        if not place.is_dir():
            raise ValueError(f"{field}: {address!r} is not a folder; correct the path")
        if output.resolve().is_relative_to(place.resolve()):
            raise ValueError(
                f"output: {output} lies in the images folder {address!r}, which it would change; choose another"
            )
    return Pictures(absolute_address(address), folder_version(address))


def benchmark_pictures(name: str, config: BenchmarkPicturesConfig, output: Path) -> Pictures:
    """The pictures of a benchmark. Raises ValueError when there are none, or a question file holds what is no record."""
    found = find_pictures(f"leakage.benchmarks.{name}.images", config.images, output)
    names = _asked_about(config.questions) if config.questions else _below(found.address)
    pictures = tuple(dict.fromkeys(names))
    if not pictures:
        raise ValueError(f"leakage.benchmarks.{name}: names no picture; correct its images or questions")
    return Pictures(found.address, found.version, pictures)


def _below(address: str) -> Iterator[str]:
    start = f"{address.rstrip('/')}/"
    return (file.removeprefix(start) for file in list_files(address) if _PICTURE.fullmatch(file))


def _asked_about(questions: Sequence[str]) -> Iterator[str]:
    for file, line, content in read_records(questions):
        if isinstance(content, RejectedLine):
            raise ValueError(f"{file}:{line}: {content.reason}; repair it, a benchmark is compared whole")
        yield from picture_names(content)


def _with_source(record: dict[str, Any], source: str | None) -> dict[str, Any]:
    named = record.get("source")
    return record if source is None or (isinstance(named, str) and named) else {**record, "source": source}
