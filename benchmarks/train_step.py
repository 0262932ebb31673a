"""Measure training steps of four sizes of model, the platform's way and the plain way, side by side, on this machine.

    .venv/bin/python benchmarks/train_step.py [--device cuda] [--sizes toy small medium large] [--rounds 3] [--results FILE]

platform                  the training loop of a run on rows grouped by length, frozen encoders run in every step
platform, stored          the same with the encoders' features held in memory, as a run holds its table
plain                     what one writes without a platform (see plain_step.py), frozen encoders run in every step

Connector and language model learn, in bfloat16 (float32 on a CPU), from random weights (step_sizes.py), on the same drawn records
(step_records.py). Throughput is that of whole steps over all records, which nothing disturbs, and counts text and visual tokens but
no padding. Then the steps are repeated in parts, with the device waited for between these, so that their sum may exceed a whole step;
the platform's loss does the head's part of the backward pass in its forward already.
MFU (step_flops.py) is n/a where the device's peak rate is not known. The loss of the first batch and the norm of its gradient are
compared, for the ways must compute the same. A way that runs out of memory is measured again with every layer's activations computed
twice. Each measurement is a process of its own, in turns; on a CPU one core works and its own time is counted, and memory is how far
it rose above the libraries'. Without --sizes a CPU trains the two small sizes and a GPU all. Writes docs/results/train_step.json.
"""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from plain_step import PlainWay, plain_way
from platform_step import PlatformWay, platform_way
from side_by_side import Measured, measured, parser_of, peak_mb, results_of
from step_flops import needed, peak_rate
from step_records import Records, draw_records
from step_sizes import SIZES, Size, build_model
from stopwatch import Stopwatch, now
from torch import nn

from opabinia.training.backends.choose import open_backend
from opabinia.training.backends.config import Hardware, HardwareConfig

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results" / "train_step.json"
STORED = "platform, stored"
WAYS = ("platform", STORED, "plain")
_PARTS = ("data", "encode", "forward", "backward", "optimiser")
_DEFAULT_SIZES = {"cpu": ["toy", "small"], "cuda": list(SIZES)}
_DEFAULT_ROUNDS = {"cpu": 3, "cuda": 1}
# On a CPU every step takes as long as on many; a GPU's libraries choose their kernels in the first.
_WARM = {"cpu": 1, "cuda": 3}
# Relative; features are stored in float16.
_AGREE = {"float32": 2e-3, "bfloat16": 5e-2}


def main() -> None:
    options = _options()
    if options.device == "cpu":
        torch.set_num_threads(1)
    if options.child:
        size, way = options.child
        print(json.dumps(_measure(SIZES[size], way, options.device)))
        return
    results: dict[str, Any] = {**results_of(options), "rounds": options.rounds, **_machine(options.device)}
    for name in options.sizes:
        ways = measured(
            {way: [name, way] for way in WAYS}, [f"--device={options.device}"], options.rounds, memory_apart=False
        )
        results[name] = _summary(SIZES[name], ways, results["peak_tflops"])
        _print(name, results[name])
        _check_agreement(name, ways, _AGREE[results["precision"]])
    options.results.write_text(json.dumps(results, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = parser_of(__doc__)
    parser.add_argument("--sizes", nargs="+", choices=SIZES)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.set_defaults(rounds=None)
    options = parser.parse_args()
    if options.device not in _DEFAULT_SIZES:
        parser.error(f"--device: {options.device} is none of {', '.join(_DEFAULT_SIZES)}")
    options.sizes = options.sizes or _DEFAULT_SIZES[options.device]
    options.rounds = options.rounds or _DEFAULT_ROUNDS[options.device]
    return options


def _machine(device: str) -> dict[str, Any]:
    precision = open_backend(_hardware(device), HardwareConfig()).precision
    name = torch.cuda.get_device_name() if device == "cuda" else "one CPU core"
    peak = peak_rate(name) if precision == "bfloat16" else None
    return {"device_name": name, "precision": precision, "peak_tflops": None if peak is None else peak / 1e12}


def _hardware(device: str) -> Hardware:
    return "cuda" if device == "cuda" else "cpu"


def _measure(size: Size, way: str, device: str) -> Measured:
    try:
        return _measured_once(size, way, device, twice=False)
    except (torch.OutOfMemoryError, ValueError) as error:
        # The training loop tells it in words of its own.
        if not isinstance(error.__cause__ or error, torch.OutOfMemoryError):
            raise
    # Only now is the failed attempt's memory free.
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return _measured_once(size, way, device, twice=True)


def _measured_once(size: Size, way: str, device: str, *, twice: bool) -> Measured:
    records = draw_records(size)
    held = peak_mb(device) if device == "cpu" else 0.0
    made = _made(size, records, way, device, twice=twice)
    loss, norm = loss_and_norm(made)
    # The longest batch first: what there is of memory must do for it.
    _run(made, [made.warm] * _WARM[device])
    started = now(device)
    padding = _run(made, range(made.batches))
    seconds = now(device) - started
    peak = peak_mb(device) - held
    return {
        "tokens_a_second": round(int(records.lengths.sum()) / seconds, 1),
        "images_a_second": round(records.pictures / seconds, 3),
        "step_ms": _ms(seconds / made.batches),
        **_divided(made, range(made.batches), device),
        "peak_mb": round(peak),
        "padding": round(sum(padding) / len(padding), 4),
        "loss": round(loss, 6),
        "gradient_norm": round(norm, 6),
        "activations_twice": float(twice),
    }


def _made(size: Size, records: Records, way: str, device: str, *, twice: bool) -> PlatformWay | PlainWay:
    backend = open_backend(_hardware(device), HardwareConfig())
    if way == "plain":
        computes_in = torch.bfloat16 if backend.precision == "bfloat16" else torch.float32
        return plain_way(size, records, device, computes_in, twice=twice)
    return platform_way(size, records, backend, stored=way == STORED, twice=twice)


def loss_and_norm(way: PlatformWay | PlainWay) -> tuple[float, float]:
    """Of the first batch, before anything was learnt: the loss, which random weights hide much in, and the norm of its gradient."""
    loss, gradients = way.first_gradients()
    return loss, nn.utils.get_total_norm(gradients.values()).item()


def _run(way: PlatformWay | PlainWay, places: Sequence[int]) -> list[float]:
    return list(way.steps(places))


def _divided(way: PlatformWay | PlainWay, places: Sequence[int], device: str) -> Measured:
    watch = Stopwatch(device)
    for place in places:
        way.divided(place, watch)
    return {f"{part}_ms": _ms(watch.seconds[part] / len(places)) for part in _PARTS}


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 2)


def _summary(size: Size, ways: dict[str, Measured], peak_tflops: float | None) -> dict[str, Any]:
    records = draw_records(size)
    operations = needed(size, records)
    model = build_model(size, "meta")
    plain = ways["plain"]["tokens_a_second"]
    found: dict[str, Any] = {}
    for way, measures in ways.items():
        encoding = 0.0 if way == STORED else operations.encoding
        seconds = records.lengths.sum() / measures["tokens_a_second"]
        tflops = (operations.learning + encoding) / seconds / 1e12
        found[way] = {
            **measures,
            "useful_tflops": round(tflops, 4),
            "mfu": None if peak_tflops is None else round(tflops / peak_tflops, 4),
            "times_plain": round(measures["tokens_a_second"] / plain, 2),
        }
    return {
        "parameters_that_learn": sum(parameter.numel() for parameter in model.parameters()),
        "encoders": [entry.architecture for entry in size.encoders],
        "rows": size.rows,
        "rows_at_once": size.at_once,
        "tokens": int(records.lengths.sum()),
        "pictures": records.pictures,
        "useful_tflop_a_step": round((operations.learning + operations.encoding) / size.steps / 1e12, 4),
        "ways": found,
    }


def _print(name: str, summary: dict[str, Any]) -> None:
    heads = ["tokens/s", "images/s", "step ms", *_PARTS, "peak MB", "padding", "MFU", "× plain"]
    print(f"\n{name}: {summary['parameters_that_learn'] / 1e6:.1f} M parameters learn, {summary['rows']} rows a step")
    print(f"{'':18}" + "".join(f"{head:>11}" for head in heads))
    for way, found in summary["ways"].items():
        mfu = "n/a" if found["mfu"] is None else f"{found['mfu']:.1%}"
        numbers = [found["tokens_a_second"], found["images_a_second"], found["step_ms"]]
        numbers += [found[f"{part}_ms"] for part in _PARTS]
        cells = [f"{number:.1f}" for number in numbers]
        cells += [f"{found['peak_mb']:.0f}", f"{found['padding']:.1%}", mfu, f"{found['times_plain']:.2f}"]
        twice = " *" if found["activations_twice"] else ""
        print(f"{way + twice:18}" + "".join(f"{cell:>11}" for cell in cells), flush=True)
    if any(found["activations_twice"] for found in summary["ways"].values()):
        print("* did not fit into memory, so every layer's activations are computed twice")


def _check_agreement(name: str, ways: dict[str, Measured], most: float) -> None:
    """Raises SystemExit where the ways do not compute the same, for then nothing can be compared."""
    for key in ("loss", "gradient_norm"):
        plain = ways["plain"][key]
        for way, found in ways.items():
            if abs(found[key] - plain) > most * plain:
                raise SystemExit(f"{name}: {key} of the first batch is {found[key]} ({way}) and {plain} (plain)")


if __name__ == "__main__":
    main()
