"""The model card of a checkpoint: what it is made of, how it was trained, what it scored, under which licences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from opabinia.encoders.catalogue import CATALOGUE
from opabinia.evaluation.report import TrialReport, from_json, to_json, vision_gain
from opabinia.evaluation.table import render_table
from opabinia.models.language_models import language_model_licence
from opabinia.training.optimisation.learning_rate import peak_learning_rate
from opabinia.training.recipe.stages import warmup_length
from opabinia.training.run import RunConfig

if TYPE_CHECKING:
    from opabinia.data.streaming.plan import StreamPosition
    from opabinia.models.multimodal_config import ModelConfig
    from opabinia.training.recipe.stages import StageConfig

_RUN, _REPORT, _POSITION = "run.json", "report.json", "position.json"

_USAGE = """```python
import opabinia  # tells transformers of the model
from transformers import AutoModelForCausalLM, AutoProcessor

folder = "."  # where this file is
model = AutoModelForCausalLM.from_pretrained(folder)
processor = AutoProcessor.from_pretrained(folder)
messages = [{"role": "user", "content": [{"type": "image", "path": "picture.jpg"}, {"type": "text", "text": "What is this?"}]}]
inputs = processor.apply_chat_template(
    messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
)
print(processor.decode(model.generate(**inputs, max_new_tokens=64)[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
```"""


def record_training(folder: Path, run: RunConfig, report: TrialReport, position: StreamPosition | None) -> None:
    """Leave in a checkpoint folder how it came about, what it scored, and how far the data of its last stage were used."""
    (folder / _RUN).write_text(run.model_dump_json(indent=1) + "\n")
    (folder / _REPORT).write_text(to_json(report) + "\n")
    if position is not None:
        (folder / _POSITION).write_text(position.model_dump_json(indent=1) + "\n")


def model_card(checkpoint: Path, model: ModelConfig) -> str:
    """Markdown for the README.md of an exported model. What the folder does not tell of its training is said to be unknown.

    Raises ValueError where a record of the training is damaged.
    """
    run = _read(checkpoint / _RUN)
    report = from_json((checkpoint / _REPORT).read_text()) if (checkpoint / _REPORT).is_file() else None
    lines = [*_head(), f"# {run.name if run else checkpoint.name}", "", *_makeup(model)]
    lines += ["", "## Training", "", *(_training(run) if run else ["Not recorded in the checkpoint."])]
    lines += ["", "## Scores", "", *(_scores(report) if report else ["Not recorded in the checkpoint."])]
    lines += ["", "## Use", "", _USAGE, "", "## Licences", "", *_licences(model), ""]
    return "\n".join(lines)


def _read(path: Path) -> RunConfig | None:
    return RunConfig.model_validate_json(path.read_text()) if path.is_file() else None


def _head() -> list[str]:
    # "other" is what hubs call several licences at once; the section below lists them.
    return ["---", "library_name: transformers", "pipeline_tag: image-text-to-text", "license: other", "---", ""]


def _makeup(model: ModelConfig) -> Iterator[str]:
    connector = model.connector.model_dump(mode="json")
    settings = ", ".join(f"{name} {value}" for name, value in connector.items() if name != "type")
    yield f"A multimodal language model: {len(model.encoders)} vision encoders, the connector `{model.connector.type}` ({settings}),"
    yield f"and the language model `{model.language_model}`. The encoders' weights are loaded by name and are not in this folder."
    yield ""
    yield from _table(
        ["encoder", "supervision", "architecture", "input", "features"],
        [_encoder_row(name) for name in model.encoders],
    )


def _encoder_row(name: str) -> list[str]:
    if name not in CATALOGUE:
        return [f"`{name}`", "", "", "", "not in the catalogue"]
    entry = CATALOGUE[name]
    features = f"{entry.grid} x {entry.grid} x {entry.width}"
    return [f"`{name}`", entry.family, entry.architecture, f"{entry.input_size} pixels", features]


def _training(run: RunConfig) -> Iterator[str]:
    yield f"Seed {run.seed}, {run.workers.count} worker(s)."
    yield ""
    columns = [
        "stage",
        "trains",
        "data",
        "steps",
        "batch",
        "peak learning rate",
        "schedule",
        "warm-up steps",
        "weight decay",
    ]
    yield from _table(columns, [_stage_row(stage) for stage in run.stages])
    yield ""
    # Only the last part of a path: the rest tells of a machine, not of the data.
    rows = [
        [name, Path(s.shards).name, s.conversation or run.data.conversation or "the tokenizer's own"]
        for name, s in run.data.sources.items()
    ]
    yield from _table(["data", "shards", "conversation format"], rows)


def _stage_row(stage: StageConfig) -> list[str]:
    parts = [*stage.trains, *(part for part in stage.learning_rates if part not in stage.trains)]
    rates = ", ".join(f"{part} {peak_learning_rate(stage, part):.3g}" for part in parts)
    return [
        stage.name, ", ".join(stage.trains), stage.data, str(stage.steps), str(stage.batch), rates, stage.schedule,
        str(warmup_length(stage)), f"{stage.weight_decay:g}",
    ]  # fmt: skip


def _scores(report: TrialReport) -> Iterator[str]:
    gain = vision_gain(report)
    added = "" if gain is None else f" The image adds {gain:.1f} points where it is needed."
    yield f"Percent, by scorer {report.scorer} (version {report.evaluator_version}), prompts {report.prompt_kind}.{added}"
    yield ""
    yield f"```\n{render_table([report])}\n```"


def _licences(model: ModelConfig) -> Iterator[str]:
    rows = [[f"`{model.language_model}`", "language model", language_model_licence(model.language_model)]]
    for name in model.encoders:
        known = CATALOGUE.get(name)
        rows.append([f"`{name}`", "encoder", known.licence if known else "not known here: ask its publisher"])
    yield from _table(["weights", "part", "licence"], rows)
    yield ""
    yield "The connector was trained here; the data that trained it have licences of their own."


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (columns, ["---"] * len(columns), *rows):
        yield f"| {' | '.join(row)} |"
