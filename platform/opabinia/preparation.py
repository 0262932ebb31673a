"""Everything that happens once before an experiment's runs: names checked, world written, data audited, features computed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from opabinia.encoders.catalogue import find_encoder
from opabinia.evaluation.questions import BenchmarkConfig, load_questions
from opabinia.experiment import Experiment
from opabinia.storage.addresses import absolute_address
from opabinia.storage.atomic import whole_folder
from opabinia.sweeps.space import trials
from opabinia.training.inputs import TrainingInputs, save_inputs
from opabinia.training.recipe.learning_encoders import frozen_encoders

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from opabinia.data.audited import AuditedSource
    from opabinia.features.build import BuildReport

_OWNER = "experiment.json"


def absolute_paths(experiment: Experiment) -> Experiment:
    """The same experiment with every path made absolute, since workers run in folders of their own."""

    def absolute(path: str | Path) -> str:
        return str(Path(path).absolute())

    sources = {
        name: source.model_copy(
            update={"shards": absolute_address(source.shards), "images": absolute_address(source.images)}
        )
        for name, source in experiment.data.sources.items()
    }
    benchmark = experiment.benchmark
    changes: dict[str, object] = {
        "output": Path(absolute(experiment.output)),
        "data": experiment.data.model_copy(update={"sources": sources}),
        "benchmark": benchmark.model_copy(
            update={
                "folder": absolute(benchmark.folder),
                "images": absolute(benchmark.images),
                "files": {name: absolute(file) for name, file in benchmark.files.items()},
            }
        ),
    }
    if experiment.world:
        changes["world"] = experiment.world.model_copy(update={"folder": Path(absolute(experiment.world.folder))})
    return experiment.model_copy(update=changes)


def claim_output(experiment: Experiment) -> None:
    """Mark the output folder as this experiment's. Raises ValueError when it belongs to another or holds something else."""
    marker = experiment.output / _OWNER
    if marker.is_file():
        owner = json.loads(marker.read_text())["name"]
        if owner != experiment.name:
            raise ValueError(
                f"output: {experiment.output} belongs to experiment {owner!r}, not {experiment.name!r}; choose another folder"
            )
        return
    if experiment.output.exists() and any(experiment.output.iterdir()):
        raise ValueError(
            f"output: {experiment.output} is not empty and belongs to no experiment; choose another folder"
        )
    experiment.output.mkdir(parents=True, exist_ok=True)
    marker.write_text(json.dumps({"name": experiment.name}) + "\n")


def check_encoders(encoders: tuple[str, ...], place: str) -> None:
    """Raises ValueError for an unknown encoder, naming the field and the nearest known one."""
    for index, name in enumerate(encoders):
        find_encoder(name, f"{place}.{index}")


def check_sweep(experiment: Experiment) -> tuple[str, ...]:
    """Every encoder that the sweep uses. Raises ValueError for one that is unknown, or when there is no sweep."""
    if experiment.sweep is None:
        raise ValueError("sweep: missing; add one, or train a single run with jobs/train.py")
    check_encoders(experiment.sweep.pool, "sweep.pool")
    if experiment.sweep.encoder_sets != "all_subsets":
        for index, encoders in enumerate(experiment.sweep.encoder_sets):
            check_encoders(encoders, f"sweep.encoder_sets.{index}")
    return tuple(dict.fromkeys(encoder for trial in trials(experiment.sweep) for encoder in trial.encoders))


def prepare(experiment: Experiment, encoders: tuple[str, ...]) -> Path:
    """Settle the tokenizer, write the world, audit the data, compute features of `encoders`; returns the file that runs read.

    Features are computed of encoders that stay frozen in any variant of the sweep. Ray must be running. Raises ValueError for anything
    that would make every run fail or mislead, before any run starts.
    """
    _check_decoding(experiment, encoders)
    inputs, pictures = settle_inputs(experiment)
    frozen = frozen_anywhere(experiment, encoders)
    if experiment.cache.enabled and frozen:
        report = compute_features(experiment, frozen, pictures)
        print(
            f"features: {report.rows:,} pictures, {report.bytes / 1e6:.1f} MB written to {features_folder(experiment)}"
        )
        inputs = inputs.model_copy(update={"features": features_folder(experiment)})
    path = experiment.output / "inputs.json"
    save_inputs(inputs, path)
    return path


def settle_inputs(experiment: Experiment) -> tuple[TrainingInputs, dict[str, str]]:
    """Everything of `prepare` but the features: the inputs without them, and key -> file of every picture that a run may ask for."""
    tokenizer = save_tokenizer(experiment)
    if experiment.world:
        from opabinia.burgess.world import write_world

        print(f"world: {write_world(experiment.world)}", flush=True)
    audits = {name: _audit(experiment, name, tokenizer) for name in used_sources(experiment)}
    inputs = TrainingInputs(
        tokenizer=tokenizer,
        audits={name: audit.folder for name, audit in audits.items()},
        rejected={name: audit.summary.rejected for name, audit in audits.items()},
        benchmark_keys=_benchmark_keys(experiment.benchmark),
        features=None,
    )
    return inputs, _pictures(experiment, audits.values(), inputs.benchmark_keys)


def used_sources(experiment: Experiment) -> list[str]:
    """The data sources that some stage reads, of the experiment's own or of a variant of its sweep."""
    every = [experiment.stages, *experiment.swept_stages.values()]
    return list(dict.fromkeys(stage.data for stages in every for stage in stages))


def frozen_anywhere(experiment: Experiment, encoders: tuple[str, ...]) -> tuple[str, ...]:
    """The encoders that learn in no stage of the experiment, or of at least one variant of its sweep."""
    every = [experiment.stages, *experiment.swept_stages.values()]
    frozen = {name for stages in every for name in frozen_encoders(stages, encoders)}
    return tuple(name for name in encoders if name in frozen)


def compute_features(experiment: Experiment, encoders: tuple[str, ...], pictures: dict[str, str]) -> BuildReport:
    """What is missing in the experiment's feature table, of these encoders and pictures (key -> file). Ray must be running.

    Raises ValueError where the table would be larger than its budget, or cannot be written.
    """
    from opabinia.features.build import build_features

    cache = experiment.cache
    return build_features(
        features_folder(experiment),
        pictures,
        encoders,
        precision=cache.precision,
        budget_gb=cache.budget_gb,
        batch=cache.batch,
        decoding=experiment.data.decoding,
    )


def features_folder(experiment: Experiment) -> Path:
    """Where the experiment's feature table is; each precision has its own, so that changing it back costs nothing."""
    return experiment.output / f"features-{experiment.cache.precision}.lance"


def save_tokenizer(experiment: Experiment) -> Path:
    """Write the language model's tokenizer, speaking in the experiment's conversation format, to where every run reads it.

    The folder is named after its content. Raises ValueError naming the field when there is no tokenizer, or it cannot speak in a
    format that the data ask for.
    """
    from opabinia.data.tokenizer import load_tokenizer

    tokenizer: Any = _speaking_tokenizer(experiment)
    with TemporaryDirectory() as scratch:
        tokenizer.save_pretrained(scratch)
        files = {file.name: file.read_bytes() for file in sorted(Path(scratch).iterdir())}
    digest = hashlib.sha256(b"".join(name.encode() + content for name, content in files.items())).hexdigest()
    folder = experiment.output / "tokenizers" / digest[:12]
    if not folder.exists():
        with whole_folder(folder) as unfinished:
            for name, content in files.items():
                (unfinished / name).write_bytes(content)
    for conversation in {None, *(source.conversation for source in experiment.data.sources.values())}:
        load_tokenizer(str(folder), conversation)
    return folder


def _speaking_tokenizer(experiment: Experiment) -> PreTrainedTokenizerFast:
    from opabinia.data.conversations.speaking import speak
    from opabinia.data.tokenizer import has_fast_tokenizer, load_tokenizer
    from opabinia.models import language_models

    conversation, system = experiment.data.conversation, experiment.data.system
    location = language_models.language_model_location(experiment.language_model)
    if has_fast_tokenizer(location):
        return load_tokenizer(location, conversation, system)
    tokenizer = language_models.load_tokenizer(experiment.language_model)
    if conversation is not None:
        speak(tokenizer, conversation, system)
    return tokenizer


def _check_decoding(experiment: Experiment, encoders: tuple[str, ...]) -> None:
    from opabinia.encoders.fitting import fittings_of
    from opabinia.encoders.pixels import check_decoding

    try:
        check_decoding(experiment.data.decoding, fittings_of(map(find_encoder, encoders)))
    except ValueError as error:
        raise ValueError(f"data.{error}") from None


def _audit(experiment: Experiment, name: str, tokenizer: Path) -> AuditedSource:
    from opabinia.data.audit import audit_source, enforce_limit
    from opabinia.data.audited import QUARANTINE_NAME
    from opabinia.data.trainable import TextEncoding

    source = experiment.data.sources[name]
    encoding = TextEncoding(str(tokenizer), experiment.data.max_length, source.conversation)
    audited = audit_source(name, source, encoding, experiment.output / "audits")
    rejected, quarantine = audited.summary.rejected, audited.folder / QUARANTINE_NAME
    print(f"data.{name}: {audited.records:,} records, {rejected:,} rejected ({quarantine})", flush=True)
    enforce_limit(audited, experiment.data.max_rejected)
    return audited


def _benchmark_keys(config: BenchmarkConfig) -> dict[str, str]:
    """None of published files, whose pictures are encoded when they are asked about."""
    if config.files:
        return {}
    images = {question.image for question in load_questions(config) if question.image}
    return {image: hashlib.sha256((Path(config.images) / image).read_bytes()).hexdigest() for image in sorted(images)}


def _pictures(
    experiment: Experiment, audits: Iterable[AuditedSource], benchmark_keys: dict[str, str]
) -> dict[str, str]:
    """Key -> address of every picture that a run may ask for, each content once."""
    benchmark = Path(experiment.benchmark.images)
    pictures = dict(picture for audited in audits for picture in audited.pictures())
    return {**pictures, **{key: str(benchmark / image) for image, key in benchmark_keys.items()}}
