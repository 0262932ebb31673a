"""Write a checkpoint as a folder that other programs open; without --checkpoint, the champion."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from opabinia.command_line import load_settings, plain_errors
from opabinia.experiment import Experiment

_DEFAULT = Path(__file__).parent / "experiments" / "quickstart.yaml"


class ExportSettings(Experiment):
    """An experiment, of which one checkpoint is exported."""

    checkpoint: Path | None = None
    """Checkpoint folder in training's own layout, an exported one or Cambrian-1's; null fetches the champion from MLflow."""

    layout: Literal["transformers", "cambrian"] = "transformers"
    """What opens the folder: AutoModelForCausalLM after `import opabinia`, or the code that Cambrian-1 was published with."""

    folder: Path = Path("export")
    """The folder to write; it must not exist."""


def main(argv: Sequence[str]) -> None:
    settings = load_settings(ExportSettings, argv, description=__doc__ or "", default_file=_DEFAULT)
    with plain_errors():
        _export(settings)


def _export(settings: ExportSettings) -> None:
    from opabinia.models.cambrian.write import write_cambrian
    from opabinia.models.huggingface.export import write_huggingface
    from opabinia.models.opening import open_checkpoint
    from opabinia.training.reports.card import model_card
    from opabinia.winner import fetch_winner

    source = settings.checkpoint or fetch_winner(settings)
    opened = open_checkpoint(source)
    if opened.encoders is not None:
        raise ValueError(
            f"checkpoint: {source} holds encoders that were trained with it, and no layout written here has them"
        )
    card = model_card(source, opened.model.config)
    write = write_huggingface if settings.layout == "transformers" else write_cambrian
    write(opened.model, opened.tokenizer, settings.folder, card)
    print(f"{settings.folder}: {source} in the layout of {settings.layout}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
