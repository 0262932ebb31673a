"""Measure how much of a batch is padding, and what that costs, one sample a row, grouped by length, and packed.

    .venv/bin/python benchmarks/packing.py [--device cuda] [--rounds 5]

Samples are drawn like those of LLaVA-665K (Liu et al. 2023): its sources in their published sizes, a picture of 576 tokens in all
but ShareGPT, text of log-normal length around a median that is this benchmark's assumption, at most 2048 tokens in all. The padding
is computed for a window of 4,096 of them, in batches of 16 samples or of packed rows of as many tokens as 16 of the longest.

Steps (forward and backward) are timed on 64 samples of a quarter of these lengths with a small Llama, two encoders and a Spatial
Vision Aggregator that also acts inside the Llama. The ways take turns, see the same samples, and their losses are written beside
their speeds, for they must agree. On a CPU one core works and its own time is counted. Writes docs/results/packing.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from connectors.contract import GridShape
from connectors.settings.sva import SvaSettings
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.data.streaming.grouping import group_by_length
from opabinia.data.streaming.packing import pack, padding_share, row_lengths
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.multimodal_config import ModelConfig

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results" / "packing.json"
_SOURCES = {
    "LLaVA": (158, True, 300),
    "ShareGPT": (40, False, 900),
    "VQAv2": (83, True, 200),
    "GQA": (72, True, 250),
    "OKVQA": (9, True, 60),
    "OCRVQA": (80, True, 150),
    "A-OKVQA": (66, True, 100),
    "TextCaps": (22, True, 60),
    "RefCOCO": (48, True, 300),
    "VG": (86, True, 350),
}
"""Name: thousands of samples, whether they have pictures, median of their text tokens."""
_SPREAD, _LONGEST, _PICTURE = 0.6, 2048, 576
_WINDOW, _BATCH = 4096, 16
_GRIDS = (GridShape(12, 64), GridShape(24, 64))

Kinds = dict[str, list[list[NDArray[np.int64]]]]
"""Way of batching: batches of rows of places of samples."""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    results: dict[str, Any] = {"device": options.device, "commit": _commit(), "date": time.strftime("%Y-%m-%d")}
    results["padding"] = _padding()
    print(json.dumps(results["padding"], indent=1), flush=True)
    results["steps"] = _steps(options.device, options.rounds)
    print(json.dumps(results["steps"], indent=1), flush=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def _padding() -> dict[str, Any]:
    """Shares of padding for one window, and how long the window takes to arrange."""
    lengths, pictured = _samples(_WINDOW, shorter=1)
    order, seconds = _timed(lambda: group_by_length(lengths, pictured, _BATCH, seed=0))
    return {
        "samples": _WINDOW,
        "mean_tokens": round(float(lengths.mean())),
        "given_order": round(padding_share(lengths, _BATCH), 4),
        "grouped": {
            "share": round(padding_share(lengths[order], _BATCH), 4),
            "arranged_in_ms": round(seconds * 1e3, 1),
        },
        **{f"packed_{longer * _LONGEST}": _packed_padding(lengths, longer) for longer in (1, 2, 4)},
    }


def _packed_padding(lengths: NDArray[np.int64], longer: int) -> dict[str, Any]:
    """The same for rows of `longer` times the longest sample."""
    packs, seconds = _timed(lambda: pack(lengths, longer * _LONGEST))
    return {
        "share": round(padding_share(row_lengths(lengths, _shuffled(packs)), _BATCH // longer), 4),
        "rows": len(packs),
        "rows_without_a_gap": int(-(-lengths.sum() // (longer * _LONGEST))),
        "arranged_in_ms": round(seconds * 1e3, 1),
    }


def _steps(device: str, rounds: int) -> dict[str, Any]:
    """Tokens (text and visual, without padding) a second, the share of padding, and the loss, of each way of batching."""
    lengths, pictured = _samples(64, shorter=4)
    model, grids = _model().to(device), [torch.randn(len(lengths), g.side**2, g.width, device=device) for g in _GRIDS]
    kinds = _kinds(lengths, pictured)
    batches = {
        name: [_batch(rows, lengths, pictured, grids, name.startswith("packed")) for rows in kind]
        for name, kind in kinds.items()
    }
    tokens, runs = int(lengths.sum()), list[dict[str, tuple[float, float]]]()
    _run(model, batches["grouped"][:1], device)
    for _ in range(rounds):
        runs.append({name: _run(model, of_kind, device) for name, of_kind in batches.items()})
    report = {
        name: {
            "batches": len(kind),
            "padding": round(_padding_of(kind, lengths), 4),
            "tokens_a_second": round(tokens / median(run[name][0] for run in runs)),
            "times_faster": round(median(run["given_order"][0] / run[name][0] for run in runs), 2),
            "loss": round(runs[0][name][1], 5),
        }
        for name, kind in kinds.items()
    }
    return {"samples": len(lengths), "tokens": tokens, **report}


def _samples(count: int, shorter: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Tokens in the language model and whether there is a picture, [count] each; lengths divided by `shorter`."""
    random = np.random.default_rng(0)
    sizes, kinds, medians = (np.array(column) for column in zip(*_SOURCES.values(), strict=True))
    source = random.choice(len(sizes), count, p=sizes / sizes.sum())
    text = random.lognormal(np.log(medians[source]), _SPREAD).astype(np.int64) // shorter + 8
    lengths = text + kinds[source] * _PICTURE // shorter
    return np.minimum(lengths, _LONGEST // shorter), kinds[source].astype(np.bool_)


def _kinds(lengths: NDArray[np.int64], pictured: NDArray[np.bool_]) -> Kinds:
    """Eight samples a batch, or packed rows of as many tokens as four of the longest samples have."""
    batch, longest = 8, _LONGEST // 4
    order = group_by_length(lengths, pictured, batch, seed=0)
    packed = {
        f"packed_{longer * longest}": _cut(_shuffled(pack(lengths, longer * longest)), batch // (2 * longer))
        for longer in (1, 2)
    }
    return {
        "given_order": _cut(list(np.arange(len(lengths))[:, None]), batch),
        "grouped": _cut(list(order[:, None]), batch),
        **packed,
    }


def _cut(rows: list[NDArray[np.int64]], batch: int) -> list[list[NDArray[np.int64]]]:
    return [rows[start : start + batch] for start in range(0, len(rows), batch)]


def _shuffled(packs: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    return [packs[place] for place in np.random.default_rng(0).permutation(len(packs))]


def _padding_of(batches: Sequence[Sequence[NDArray[np.int64]]], lengths: NDArray[np.int64]) -> float:
    """Batches may differ in rows at the end only."""
    return padding_share(row_lengths(lengths, [row for rows in batches for row in rows]), len(batches[0]))


def _model() -> MultimodalModel:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    llama = LlamaForCausalLM(
        LlamaConfig(vocab_size=4096, hidden_size=192, intermediate_size=512, num_hidden_layers=4, num_attention_heads=6)
    )
    sva = SvaSettings(queries=_PICTURE // 4, width=128, heads=4, in_llm_start=0, in_llm_stride=2, in_llm_count=2)
    return MultimodalModel(ModelConfig(encoders=("a", "b"), connector=sva, language_model="llama"), llama, _GRIDS)


def _batch(
    rows: Sequence[NDArray[np.int64]],
    lengths: NDArray[np.int64],
    pictured: NDArray[np.bool_],
    grids: Sequence[Tensor],
    packed: bool,
) -> dict[str, Any]:
    """What the model takes for rows of these samples; the second half of each text is supervised."""
    ids = [torch.cat([_text(sample, lengths, pictured) for sample in row.tolist()]) for row in rows]
    labels = [torch.cat([_labels(_text(sample, lengths, pictured)) for sample in row.tolist()]) for row in rows]
    numbers = [
        torch.cat([torch.full_like(_text(sample, lengths, pictured), n) for n, sample in enumerate(row.tolist(), 1)])
        for row in rows
    ]
    device = grids[0].device
    samples = pad_sequence(numbers, batch_first=True).to(device)
    seen = torch.tensor([sample for row in rows for sample in row.tolist() if pictured[sample]], device=device)
    return {
        "input_ids": pad_sequence(ids, batch_first=True).to(device),
        "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORE).to(device),
        "attention_mask": samples > 0,
        "features": [grid[seen.long()] for grid in grids],
        "samples": samples if packed else None,
    }


def _text(sample: int, lengths: NDArray[np.int64], pictured: NDArray[np.bool_]) -> Tensor:
    """The sample's token ids, always the same ones, a placeholder first where it has a picture."""
    generator = torch.Generator().manual_seed(sample)
    text = int(lengths[sample]) - bool(pictured[sample]) * _PICTURE // 4
    ids = torch.randint(1, 4096, (text,), generator=generator)
    return torch.cat([torch.tensor([IMAGE_TOKEN]), ids]) if pictured[sample] else ids


def _labels(ids: Tensor) -> Tensor:
    return torch.where(torch.arange(len(ids)) >= (len(ids) + 1) // 2, ids, IGNORE)


def _run(model: MultimodalModel, batches: Sequence[dict[str, Any]], device: str) -> tuple[float, float]:
    """Seconds of forward and backward through all batches, and the mean loss of their supervised tokens."""
    supervised = [int((batch["labels"] != IGNORE).sum()) for batch in batches]
    losses = list[Tensor]()
    now = _clock(device)
    started = now()
    for batch in batches:
        loss = model(**batch).loss
        loss.backward()
        model.zero_grad(set_to_none=True)
        losses.append(loss.detach())
    seconds = now() - started
    total = sum(float(loss) * count for loss, count in zip(losses, supervised, strict=True))
    return seconds, total / sum(supervised)


def _timed(arrange: Callable[[], Any]) -> tuple[Any, float]:
    """What comes out, and the median seconds of seven runs."""
    seconds, found = list[float](), None
    for _ in range(7):
        started = time.process_time()
        found = arrange()
        seconds.append(time.process_time() - started)
    return found, median(seconds)


def _clock(device: str) -> Callable[[], float]:
    """Seconds; on a CPU those of one core in this process alone, so that what else the machine does is not counted."""
    if device == "cpu":
        torch.set_num_threads(1)
        return time.process_time
    return lambda: (torch.cuda.synchronize(), time.perf_counter())[1]


def _commit() -> str:
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=RESULTS.parent)
    return asked.stdout.strip()


if __name__ == "__main__":
    main(sys.argv[1:])
