"""Measure what computing activations twice costs and saves, by which modules do, side by side, on this machine.

    .venv/bin/python benchmarks/activation_checkpointing.py [--device cuda] [--rounds 5]

A Llama of 8 layers of width 256 with a Spatial Vision Aggregator of two encoders in front of it and behind every third of its layers;
8 samples, each a picture of 144 tokens and 240 tokens of text. Time is that of forward and backward of one step; memory how far it
rose above the model and its inputs, gradients included. Losses are written beside, for they must agree to the bit. Each measurement
is a process of its own, in turns; on a CPU one core works and its own time is counted.

Writes docs/results/activation_checkpointing.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from side_by_side import measured, parser_of, peak_mb, results_of, timed
from torch import Tensor

from connectors.contract import GridShape
from connectors.settings.sva import SvaSettings
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.models.activation_checkpointing import checkpoint_activations
from opabinia.models.activation_checkpointing_config import ActivationCheckpointing
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.multimodal_config import ModelConfig

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results" / "activation_checkpointing.json"
_WAYS = {
    "nothing twice": ActivationCheckpointing(),
    "every second layer": ActivationCheckpointing(decoder_layers=2),
    "every layer": ActivationCheckpointing(decoder_layers=1),
    "every layer and the connector": ActivationCheckpointing(decoder_layers=1, connector=True),
}
_GRIDS = (GridShape(12, 64), GridShape(24, 64))
_SAMPLES, _TEXT = 8, 240


def main() -> None:
    options = parser_of(__doc__).parse_args()
    torch.set_num_threads(1)
    if options.child:
        print(json.dumps(_measure(_WAYS[options.child[0]], options.device)))
        return
    results: dict[str, Any] = results_of(options)
    results["ways"] = measured({way: [way] for way in _WAYS}, [f"--device={options.device}"], options.rounds)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def _measure(settings: ActivationCheckpointing, device: str) -> dict[str, float]:
    model = _model().to(device).train()
    checkpoint_activations(model, settings)
    ids, grids = _inputs(device)
    # What the libraries set up once, and keep, is nobody's share.
    _step(model, ids[:1, :8], [grid[:1] for grid in grids])
    held = peak_mb(device)
    losses: list[float] = []
    seconds = timed(lambda: losses.append(_step(model, ids, grids)), device)
    return {"seconds": seconds, "peak_mb": round(peak_mb(device) - held), "loss": losses[0]}


def _step(model: MultimodalModel, ids: Tensor, grids: list[Tensor]) -> float:
    loss = model(ids, grids, labels=ids.where(ids != IMAGE_TOKEN, IGNORE)).loss
    loss.backward()
    model.zero_grad(set_to_none=True)
    return loss.item()


def _model() -> MultimodalModel:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = dict(vocab_size=512, hidden_size=256, intermediate_size=768, num_hidden_layers=8, num_attention_heads=4)
    llm: Any = LlamaForCausalLM(LlamaConfig(**shape))
    connector = SvaSettings(queries=144, width=128, heads=4, in_llm_start=0, in_llm_stride=3, in_llm_count=3)
    return MultimodalModel(ModelConfig(encoders=("a", "b"), connector=connector, language_model="llama"), llm, _GRIDS)


def _inputs(device: str) -> tuple[Tensor, list[Tensor]]:
    torch.manual_seed(1)
    ids = torch.randint(1, 512, (_SAMPLES, 1 + _TEXT), device=device)
    ids[:, 0] = IMAGE_TOKEN
    return ids, [torch.randn(_SAMPLES, grid.side**2, grid.width, device=device) for grid in _GRIDS]


if __name__ == "__main__":
    main()
