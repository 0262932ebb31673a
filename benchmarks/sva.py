"""Measure one layer of the Spatial Vision Aggregator against its plain formulation, side by side, on this machine.

    .venv/bin/python benchmarks/sva.py [--device cuda] [--images 1 4] [--rounds 5]

The setting is the published one (Tong et al. 2024): 576 queries, three encoders of 24 x 24 and one of 96 x 96 tokens, width 1024,
16 heads. Plain means what the equations say: keys and values of every window are formed, and each query, a batch row of its own,
attends to its 19 keys. Prints time and memory of forward + backward in float32 and bfloat16; writes docs/results/sva.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from connectors.contract import VisualContext
from connectors.sva_block import SvaBlock

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results" / "sva.json"
_WIDTH, _HEADS, _QUERIES = 1024, 16, 576
_SPANS = (1, 1, 1, 4)
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class PlainBlock(SvaBlock):
    """The same parameters; keys and values of all windows formed, one query a batch row."""

    def forward(self, query: Tensor, context: VisualContext) -> Tensor:
        hidden = self._hidden(query, context)
        placed = [self._placed(index, window) for index, window in enumerate(context.windows)]
        keys = torch.cat([self.to_key[index](window) for index, window in enumerate(placed)], dim=1)
        values = torch.cat([self.to_value[index](window) for index, window in enumerate(placed)], dim=1)
        attended = functional.scaled_dot_product_attention(
            *(self._heads_first(part) for part in (self.to_query(hidden).unsqueeze(1), keys, values))
        )
        return query + self.output(self.norm(hidden + self.attended(attended.transpose(1, 2).flatten(1))))

    def _heads_first(self, rows: Tensor) -> Tensor:
        """[cells, keys, width] -> [cells, heads, keys, head width]"""
        return rows.unflatten(-1, (self._heads, -1)).transpose(1, 2)


def main(arguments: list[str]) -> None:
    options = _options(arguments)
    if options.child:
        print(json.dumps(_measure(*options.child, options.device, options.images[0], options.rounds)))
        return
    results: dict[str, Any] = {"device": options.device, "commit": _commit(), "date": time.strftime("%Y-%m-%d")}
    for images in options.images:
        for dtype in _DTYPES:
            name = f"{images} image{'s' if images > 1 else ''}, {dtype}"
            results[name] = _side_by_side(images, dtype, options)
            print(name, json.dumps(results[name], indent=1), flush=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def _side_by_side(images: int, dtype: str, options: argparse.Namespace) -> dict[str, Any]:
    # A process each, so that neither inherits the other's memory; in turns, so that both see the same machine.
    rounds = [
        {kind: _in_child(kind, dtype, images, options.device) for kind in ("plain", "ours")}
        for _ in range(options.rounds)
    ]
    plain, ours = (
        {key: median(one[kind][key] for one in rounds) for key in rounds[0][kind]} for kind in ("plain", "ours")
    )
    times = median(one["plain"]["seconds"] / one["ours"]["seconds"] for one in rounds)
    ratio = ours["peak_mb"] / plain["peak_mb"]
    return {"plain": plain, "ours": ours, "times_faster": round(times, 2), "memory_ratio": round(ratio, 2)}


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _in_child(kind: str, dtype: str, images: int, device: str) -> dict[str, float]:
    flags = ["--device", device, "--images", str(images)]
    command = [sys.executable, __file__, *flags, "--child", kind, dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    return json.loads(done.stdout)


def _measure(kind: str, dtype_name: str, device: str, images: int, rounds: int) -> dict[str, float]:
    """Median seconds of forward + backward, and how far memory rose above what parameters and inputs take, MB."""
    dtype = _DTYPES[dtype_name]
    torch.manual_seed(0)
    block = (PlainBlock if kind == "plain" else SvaBlock)(_WIDTH, _WIDTH, _HEADS, _SPANS).to(device, dtype)
    query, context = _inputs(images, device, dtype)
    # What the libraries set up once, and keep, is nobody's share.
    few = context.split(8)[0]
    block(query[:8], few).float().square().mean().backward()
    held = _memory_mb(device)
    seconds: list[float] = []
    for _ in range(rounds + 1):
        _wait(device)
        started = time.perf_counter()
        block(query, context).float().square().mean().backward()
        _wait(device)
        seconds.append(time.perf_counter() - started)
        block.zero_grad(set_to_none=True)
    return {"seconds": round(median(seconds[1:]), 4), "peak_mb": round(_memory_mb(device) - held)}


def _inputs(images: int, device: str, dtype: torch.dtype) -> tuple[Tensor, VisualContext]:
    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, device=device, dtype=dtype, requires_grad=True)

    cells = images * _QUERIES
    windows = tuple(random(cells, span * span, _WIDTH) for span in _SPANS)
    image_of = torch.arange(images, device=device).repeat_interleave(_QUERIES)
    return random(cells, _WIDTH), VisualContext(windows, None, random(images, _WIDTH), image_of)


def _memory_mb(device: str) -> float:
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return torch.cuda.max_memory_allocated() / 2**20


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def _commit() -> str:
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=RESULTS.parent)
    return asked.stdout.strip()


if __name__ == "__main__":
    main(sys.argv[1:])
