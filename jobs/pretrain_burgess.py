"""Pretrain Burgess's vision encoders and language model from scratch, as the shipped weights were, and probe the encoders.

The shipped weights are the result of this job with its defaults; docs/results/burgess.md has the numbers they reached.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from opabinia.burgess.pretraining.settings import EncoderPretraining, LanguageModelPretraining
from opabinia.command_line import load_settings, plain_errors
from opabinia.config import Config

Part = Literal["language-model", "caption-vit", "mim-vit", "dense-convnext", "probe"]


class PretrainSettings(Config):
    """What to pretrain and for how long."""

    folder: Path = Path("runs/pretraining")
    """Each model is written to a folder of its name in here."""

    parts: tuple[Part, ...] = ("language-model", "dense-convnext", "caption-vit", "mim-vit", "probe")
    """What to do, in this order; probe reads the encoders that the package ships."""

    threads: int = 1
    """Threads to compute with; another number changes the last bits of the result."""

    language_model: LanguageModelPretraining = LanguageModelPretraining()
    caption_vit: EncoderPretraining = EncoderPretraining(steps=2400, batch=96)
    mim_vit: EncoderPretraining = EncoderPretraining(steps=2400, batch=96)
    dense_convnext: EncoderPretraining = EncoderPretraining(steps=2500, batch=96)


def main(argv: Sequence[str]) -> None:
    settings = load_settings(PretrainSettings, argv, description=__doc__ or "")
    with plain_errors():
        _pretrain(settings)


def _pretrain(settings: PretrainSettings) -> None:
    import torch

    torch.set_num_threads(settings.threads)
    for part in settings.parts:
        print(f"{part}: {json.dumps(_do(part, settings))}", flush=True)


def _do(part: Part, settings: PretrainSettings) -> object:
    from opabinia.burgess.pretraining.captioning import pretrain_caption_vit
    from opabinia.burgess.pretraining.dense import pretrain_dense_convnext
    from opabinia.burgess.pretraining.language_model import pretrain_language_model
    from opabinia.burgess.pretraining.masked_modelling import pretrain_mim_vit

    folder = settings.folder / part
    if part == "language-model":
        return pretrain_language_model(settings.language_model, folder)
    if part == "caption-vit":
        return pretrain_caption_vit(settings.caption_vit, folder)
    if part == "mim-vit":
        return pretrain_mim_vit(settings.mim_vit, folder)
    if part == "dense-convnext":
        return pretrain_dense_convnext(settings.dense_convnext, folder)
    return _probe()


def _probe() -> dict[str, dict[str, float]]:
    from opabinia.burgess.pretraining.probe import probe_encoder
    from opabinia.encoders.catalogue import CATALOGUE
    from opabinia.encoders.loading import load_encoder

    shipped = {name: entry for name, entry in CATALOGUE.items() if name.startswith("burgess/")}
    return {name: probe_encoder(load_encoder(name), entry.input_size) for name, entry in shipped.items()}


if __name__ == "__main__":
    main(sys.argv[1:])
