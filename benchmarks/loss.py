"""Measure the loss of a language model's head, with its gradients, in chunks and on all logits, side by side, on this machine.

    .venv/bin/python benchmarks/loss.py [--device cuda] [--rounds 5] [--positions 4096] [--width 512] [--vocabulary 16000]

plain                the logits of all positions, then cross-entropy on those that are supervised
checkpointed         the same in chunks, whose logits are computed again for the backward pass
chunked              `chunked_next_token_loss`, which computes gradients with the logits
chunked, bounded     the same, told how many positions are supervised

A quarter of the positions is supervised. Time is that of the head and the loss, forward and backward; memory how far it rose above
hidden states and parameters, gradients included. Each measurement is a process of its own, in turns; on a CPU one core works and its
own time is counted. Writes docs/results/loss.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from side_by_side import measured, parser_of, peak_mb, results_of, timed
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from opabinia.data.prompts import IGNORE
from opabinia.models.head import Head
from opabinia.models.loss import chunked_next_token_loss

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results" / "loss.json"
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_WAYS = ("plain", "checkpointed", "chunked", "chunked, bounded")
_SIZES = {"positions": 4096, "width": 512, "vocabulary": 16000}
_CHUNK, _CHUNKS = 256, (64, 128, 256, 512)
_BATCH = 2


def main() -> None:
    parser = parser_of(__doc__)
    for name, size in _SIZES.items():
        parser.add_argument(f"--{name}", type=int, default=size)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.child:
        way, head, dtype, chunk = options.child
        print(json.dumps(_measure(way, head == "trained", _DTYPES[dtype], int(chunk), options)))
        return
    sizes = {name: getattr(options, name) for name in _SIZES}
    flags = [f"--{name}={value}" for name, value in {"device": options.device, **sizes}.items()]
    results: dict[str, Any] = {**results_of(options), **sizes}
    for head in ("trained", "frozen"):
        for dtype in _DTYPES:
            ways = {way: [way, head, dtype, str(_CHUNK)] for way in _WAYS}
            results[f"{head} head, {dtype}, chunks of {_CHUNK}"] = measured(ways, flags, options.rounds)
    ways = {f"chunks of {chunk}": ["chunked", "trained", "float32", str(chunk)] for chunk in _CHUNKS}
    results["chunked, trained head, float32"] = measured(ways, flags, options.rounds)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def _measure(way: str, trained: bool, dtype: torch.dtype, chunk: int, options: argparse.Namespace) -> dict[str, float]:
    """Seconds of forward + backward, and how far memory rose above hidden states and parameters, MB."""
    # What the libraries set up once, and keep, is nobody's share.
    _run(way, _inputs(8, 4, 16, options.device, dtype, trained), 4)
    inputs = _inputs(options.positions, options.width, options.vocabulary, options.device, dtype, trained)
    held = peak_mb(options.device)
    seconds = timed(lambda: _run(way, inputs, chunk), options.device)
    return {"seconds": seconds, "peak_mb": round(peak_mb(options.device) - held)}


def _inputs(
    positions: int, width: int, vocabulary: int, device: str, dtype: torch.dtype, trained: bool
) -> tuple[Tensor, Head, Tensor]:
    torch.manual_seed(0)
    hidden = torch.randn(_BATCH, positions // _BATCH, width, device=device, dtype=dtype, requires_grad=True)
    weight = torch.randn(vocabulary, width, device=device, dtype=dtype).mul_(width**-0.5).requires_grad_(trained)
    labels = torch.randint(0, vocabulary, hidden.shape[:2], device=device)
    labels[:, : labels.shape[1] * 3 // 4] = IGNORE
    return hidden, Head(weight), labels


def _run(way: str, inputs: tuple[Tensor, Head, Tensor], chunk: int) -> None:
    hidden, head, labels = inputs
    ways = {"plain": _plain, "checkpointed": _checkpointed, "chunked": _chunked, "chunked, bounded": _bounded}
    ways[way](hidden, head, labels, chunk).backward()
    hidden.grad = head.weight.grad = None


def _plain(hidden: Tensor, head: Head, labels: Tensor, _chunk: int) -> Tensor:
    logits = functional.linear(hidden, head.weight)
    supervised = labels[:, 1:] != IGNORE
    return functional.cross_entropy(logits[:, :-1][supervised].float(), labels[:, 1:][supervised])


def _checkpointed(hidden: Tensor, head: Head, labels: Tensor, chunk: int) -> Tensor:
    targets = functional.pad(labels[:, 1:], (0, 1), value=IGNORE).flatten()
    total = hidden.new_zeros((), dtype=torch.float32)
    for rows, some in zip(hidden.flatten(0, 1).split(chunk), targets.split(chunk), strict=True):
        total = total + checkpoint(_of_chunk, rows, head.weight, some, use_reentrant=False)
    return total / (targets != IGNORE).sum()


def _of_chunk(rows: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    logits = functional.linear(rows, weight).float()
    return functional.cross_entropy(logits, targets, ignore_index=IGNORE, reduction="sum")


def _chunked(hidden: Tensor, head: Head, labels: Tensor, chunk: int, at_most: int | None = None) -> Tensor:
    total, count = chunked_next_token_loss(hidden, head, labels, chunk=chunk, at_most=at_most)
    return total / count


def _bounded(hidden: Tensor, head: Head, labels: Tensor, chunk: int) -> Tensor:
    # A collator counts them before the batch leaves the host.
    return _chunked(hidden, head, labels, chunk, labels.numel() // 4)


if __name__ == "__main__":
    main()
