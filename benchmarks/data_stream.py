"""Measure how fast records become batches, beside a plain PyTorch DataLoader on the same records and the same cores.

    .venv/bin/python benchmarks/data_stream.py [--workers 2] [--rounds 5] [--pictures 300]

Both sides read LLaVA records (Burgess's conversations, each about a photograph), tokenise them with Burgess's tokenizer, and prepare
the pictures for two encoders of Cambrian-1: SigLIP SO400M at 384 and DINOv2-L at 518 pixels.

plain         a Dataset over a lazily indexed JSONL file, with as many worker processes as cores; the preparation of either encoder
              opens the picture, pads and resizes it (Pillow, bicubic), and makes a normalised float tensor of it
plain_once    the same, with the picture opened once for both
stream        this platform's, with as many Ray tasks at once; bytes arrive, which the GPU that encodes them normalises
stream_cpu    the same, with the consumer normalising on its CPU all the same, as training without a GPU would

Each measurement is a process of its own, in turns, on the first WORKERS cores; it lasts from the first batches, which starting up
delays, to the last. Then comes the wait for data in a loop whose step is as long as that of a GPU that uses 70 % of the
stream's speed. Writes docs/results/data_stream.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import ray
import torch
from photographs import photograph
from PIL import Image
from plain_loader import LazyRecords, plain_batches, prepare

from opabinia.burgess.config import WorldConfig
from opabinia.burgess.world import write_world
from opabinia.data.audit import audit_source
from opabinia.data.records import parse_record
from opabinia.data.source import SourceConfig
from opabinia.data.streaming.batching import PlainBatches
from opabinia.data.streaming.plan import Share, StreamPlan
from opabinia.data.streaming.stream import Part, stream_batches
from opabinia.data.trainable import TextEncoding
from opabinia.encoders.catalogue import find_encoder
from opabinia.encoders.fitting import fitted, fitting_of, fittings_of
from opabinia.encoders.pixel_columns import pixel_tensor, with_pixels
from opabinia.encoders.pixels import open_picture, pixels_of
from opabinia.encoders.preprocessing import normalised
from opabinia.encoders.resizing import resize_exactly, resize_quickly

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results" / "data_stream.json"
TOKENIZER = ROOT / "platform" / "opabinia" / "burgess" / "weights" / "language-model"
ENTRIES = tuple(map(find_encoder, ("cambrian/siglip-so-384", "cambrian/dinov2-l-518")))
SIDES = ("plain", "plain_once", "stream", "stream_cpu")
SIZES = ((1024, 768), (640, 480))
_BATCH, _WARM, _MEASURED, _PIECES = 32, 8, 40, 60
_LOAD = 0.7
_KEPT = ("pictures_a_second", "processor_ms_a_picture", "first_batch_seconds")


def main(arguments: list[str]) -> None:
    options = _options(arguments)
    if options.child:
        side, folder, step = options.child
        print(json.dumps(_measure(side, Path(folder), options.workers, float(step))))
        return
    # Children inherit it, and theirs, so that every side has these cores and no others.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.workers])
    results: dict[str, Any] = {"workers": options.workers, "commit": _commit(), "date": time.strftime("%Y-%m-%d")}
    for width, height in SIZES:
        with TemporaryDirectory() as scratch:
            folder = write_records(Path(scratch), options.pictures, width, height)
            found = _side_by_side(folder, options) | {"processor_ms_of_one_picture": _pieces(folder)}
        results[f"{width} x {height}"] = found
        print(f"{width} x {height}", json.dumps(found, indent=1), flush=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def _side_by_side(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    rounds = [{side: _in_child(side, folder, options.workers) for side in SIDES} for _ in range(options.rounds)]
    medians = {side: {key: _median(one[side][key] for one in rounds) for key in _KEPT} for side in SIDES}
    faster = {side: _ratio(rounds, side, "pictures_a_second") for side in ("plain", "plain_once")}
    leaner = {side: round(1 / _ratio(rounds, side, "processor_ms_a_picture"), 3) for side in ("plain", "plain_once")}
    step = _BATCH / (_LOAD * medians["stream"]["pictures_a_second"])
    waiting = {
        side: _median(_in_child(side, folder, options.workers, step)["waiting"] for _ in range(options.rounds))
        for side in ("plain", "stream")
    }
    return medians | {
        "stream_times_faster_than": faster,
        "stream_processor_time_times_less_than": leaner,
        "step_seconds": round(step, 3),
        "waiting_share": waiting,
    }


def _ratio(rounds: list[dict[str, dict[str, float]]], side: str, key: str) -> float:
    """The stream's over another side's, the median of the rounds."""
    return _median(one["stream"][key] / one[side][key] for one in rounds)


def _in_child(side: str, folder: Path, workers: int, step: float = 0.0) -> dict[str, float]:
    # A process each, so that no side inherits another's processes, memory or warmed-up libraries.
    command = [sys.executable, __file__, "--workers", str(workers), "--child", side, str(folder), str(step)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    return json.loads(done.stdout.splitlines()[-1])


def _median(values: Iterable[float]) -> float:
    return round(median(values), 3)


def _commit() -> str:
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    return asked.stdout.strip()


def write_records(scratch: Path, pictures: int, width: int, height: int) -> Path:
    """Burgess's conversations as shards in `instruction` and as one file, records.jsonl; its pictures replaced by photographs."""
    folder = write_world(WorldConfig(folder=scratch / "world", scenes=pictures, facts=0, benchmark=4, shard_size=100))
    for seed, path in enumerate(sorted((folder / "images" / "train").glob("*.jpg"))):
        path.write_bytes(photograph(seed, width, height))
    shards = sorted((folder / "instruction").glob("*.jsonl"))
    (folder / "records.jsonl").write_text("".join(shard.read_text() for shard in shards))
    return folder


def streamed(folder: Path, workers: int, steps: int) -> Iterator[Part]:
    """The platform's batches; each holds padded tokens, and of every fitting the column `pixel_tensor` reads."""
    source = SourceConfig(shards=str(folder / "instruction"), images=str(folder / "images"))
    audited = audit_source("instruction", source, _encoding(), folder / "audits")
    plan = StreamPlan(audited, seed=0, batch=_BATCH, batching=PlainBatches(), visual_tokens=576)
    more = partial(with_pixels, fittings=fittings_of(ENTRIES))
    for step in stream_batches(plan, _encoding(), Share(0, 1), steps=steps, pad_id=0, tasks=workers, more=more):
        yield from step.parts


def _measure(side: str, folder: Path, workers: int, step: float) -> dict[str, float]:
    """From batch _WARM to the last: pictures a second, processor time a picture, and with a step the share that is waiting."""
    arrived, spent, waited = list[float](), list[float](), list[float]()
    asked = started = time.perf_counter()
    for number, _ in enumerate(_batches(side, folder, workers, _WARM + _MEASURED), start=1):
        arrived.append(time.perf_counter())
        waited.append(arrived[-1] - asked)
        if number in (_WARM, _WARM + _MEASURED):
            spent.append(_processor_seconds())
        time.sleep(step)
        asked = time.perf_counter()
    lasted, pictures = arrived[-1] - arrived[_WARM - 1], _MEASURED * _BATCH
    return {
        "pictures_a_second": pictures / lasted,
        "processor_ms_a_picture": (spent[1] - spent[0]) / pictures * 1000,
        "first_batch_seconds": arrived[0] - started,
        "waiting": sum(waited[_WARM:]) / lasted,
    }


def _processor_seconds() -> float:
    """Spent so far by this process and all that it started."""
    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _batches(side: str, folder: Path, workers: int, steps: int) -> Iterator[Any]:
    if side.startswith("plain"):
        records = LazyRecords(
            folder / "records.jsonl", folder / "images", _encoding(), ENTRIES, open_once=side == "plain_once"
        )
        return plain_batches(records, batch=_BATCH, steps=steps, workers=workers)
    # Ray would have its workers give way to every other process.
    own = {"worker_niceness": 0}
    ray.init(
        "local",
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _system_config=own,
    )
    prepare_here = _normalised if side == "stream_cpu" else _bytes
    return map(prepare_here, streamed(folder, workers, steps))


def _bytes(part: Part) -> list[torch.Tensor]:
    """What training sends to its GPU."""
    return [pixel_tensor(part.table[fitting.name], fitting) for fitting in fittings_of(ENTRIES)]


def _normalised(part: Part) -> list[torch.Tensor]:
    squares = dict(zip(fittings_of(ENTRIES), _bytes(part), strict=True))
    return [normalised(squares[fitting_of(entry)], entry) for entry in ENTRIES]


def _pieces(folder: Path) -> dict[str, float]:
    """What the parts of the work take in one process that does nothing else, milliseconds a picture."""
    torch.set_num_threads(1)
    lines = (folder / "records.jsonl").read_text().splitlines()[:_PIECES]
    records = [parse_record(line, "records.jsonl", number) for number, line in enumerate(lines, start=1)]
    files = [(folder / "images" / record.images[0]).read_bytes() for record in records]
    pictures = [open_picture(content) for content in files]
    arrays = [pixels_of(picture) for picture in pictures]
    siglip, dino = (fitting_of(entry) for entry in ENTRIES)
    squares = [torch.from_numpy(fitted(array, dino, resize_quickly))[None] for array in arrays]
    encoding = _encoding()
    return {
        "parse and tokenise": _each(lambda line: encoding.encode(parse_record(line, "", 1)), lines),
        "decode": _each(open_picture, files),
        "decode, half a side": _each(_decode_half, files),
        "as an array": _each(pixels_of, pictures),
        f"pad and resize to {siglip.side}": _each(lambda array: fitted(array, siglip, resize_quickly), arrays),
        f"pad and resize to {dino.side}": _each(lambda array: fitted(array, dino, resize_quickly), arrays),
        f"the same with Pillow, {siglip.side}": _each(lambda array: fitted(array, siglip, resize_exactly), arrays),
        f"the same with Pillow, {dino.side}": _each(lambda array: fitted(array, dino, resize_exactly), arrays),
        f"normalise {dino.side} on a CPU": _each(lambda square: normalised(square, ENTRIES[1]), squares),
        f"plain preparation for {siglip.side}": _each(lambda image: prepare(image, ENTRIES[0]), pictures),
        f"plain preparation for {dino.side}": _each(lambda image: prepare(image, ENTRIES[1]), pictures),
    }


def _decode_half(content: bytes) -> None:
    image = Image.open(BytesIO(content))
    image.draft(None, (image.width // 2, image.height // 2))
    image.load()


def _each(work: Callable[[Any], Any], things: list[Any]) -> float:
    """Median milliseconds of processor time."""
    spent = list[float]()
    for thing in [things[0], *things]:
        started = time.process_time()
        work(thing)
        spent.append(time.process_time() - started)
    return round(median(spent[1:]) * 1000, 2)


def _encoding() -> TextEncoding:
    return TextEncoding(str(TOKENIZER), max_length=256)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
