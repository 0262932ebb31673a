"""Show that the stream's memory does not grow with the data, and that its first batch needs no pass over them.

    .venv/bin/python benchmarks/stream_memory.py [--records 10000 100000 1000000]

For each size, in a process of its own with a Ray of its own: shards of 10,000 records (every other with a picture, of 1,000 pictures)
are written and audited; then the same number of samples is streamed, while the memory of all processes (their proportional set size:
what they share is counted once) is looked at four times a second. Prints seconds to the first batch, samples a second and peak memory;
writes docs/results/stream_memory.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results" / "stream_memory.json"
_SHARD, _BATCH, _PICTURES, _LOOK_S = 10_000, 64, 1000, 0.25
_SAMPLES = 100_000
_QUESTION = "what colour is the large circle at the left of the small red square ? "
_ANSWER = "the large circle is blue and the small square is red . "


class Memory(threading.Thread):
    """Looks at the memory of this process and all below it until it is stopped. peak: MB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.stopped = 0.0, threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(_LOOK_S):
            self.peak = max(self.peak, sum(map(_megabytes, [psutil.Process(), *psutil.Process().children(True)])))


def _megabytes(process: psutil.Process) -> float:
    try:
        return process.memory_full_info().pss / 1e6
    except psutil.Error:
        return 0.0


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--child", type=int)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(_measure(options.child)))
        return
    results: dict[str, Any] = {
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d"),
        "batch": _BATCH,
        "samples": _SAMPLES,
    }
    for records in options.records:
        child = [sys.executable, __file__, "--child", str(records)]
        output = subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True).stdout
        results[f"{records:,} records"] = json.loads(output.splitlines()[-1])
        print(f"{records:,} records", output.splitlines()[-1], flush=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def _measure(records: int) -> dict[str, float]:
    import ray

    from opabinia.data.audit import audit_source
    from opabinia.data.source import SourceConfig
    from opabinia.data.streaming.batching import PlainBatches
    from opabinia.data.streaming.plan import Share, StreamPlan
    from opabinia.data.streaming.stream import stream_batches
    from opabinia.data.trainable import TextEncoding
    from opabinia.models.language_models import language_model_location

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = _write(folder, records, SourceConfig)
        encoding = TextEncoding(language_model_location("burgess/language-model"), max_length=256)
        ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
        began = time.perf_counter()
        audited = audit_source("made", source, encoding, folder / "audits")
        audit_s = time.perf_counter() - began
        # A Ray of its own for the stream, so that nothing of the audit is left in memory.
        ray.shutdown()
        ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
        plan = StreamPlan(audited, 0, _BATCH, PlainBatches(), visual_tokens=64)
        memory = Memory()
        memory.start()
        began = time.perf_counter()
        batches = iter(stream_batches(plan, encoding, Share(0, 1), steps=_SAMPLES // _BATCH, pad_id=0))
        next(batches)
        first_s = time.perf_counter() - began
        rows = _BATCH * (1 + sum(1 for _ in batches))
        seconds = time.perf_counter() - began
        memory.stopped.set()
        memory.join()
        ray.shutdown()
        return {
            "audit_seconds": round(audit_s, 1),
            "first_batch_seconds": round(first_s, 2),
            "samples_a_second": round(rows / seconds),
            "peak_mb": round(memory.peak),
        }


def _write(folder: Path, records: int, source: Any) -> Any:
    from PIL import Image

    (folder / "shards").mkdir()
    (folder / "images").mkdir()
    for picture in range(_PICTURES):
        Image.new("RGB", (16, 16), (picture % 256, picture // 256, 90)).save(folder / "images" / f"{picture}.png")
    for shard in range(-(-records // _SHARD)):
        first = shard * _SHARD
        lines = _lines(first, min(first + _SHARD, records))
        (folder / "shards" / f"part-{shard:05d}.jsonl").write_text("".join(lines))
    return source(shards=str(folder / "shards"), images=str(folder / "images"))


def _lines(first: int, stop: int) -> Iterator[str]:
    for number in range(first, stop):
        image = {} if number % 2 else {"image": f"{number // 2 % _PICTURES}.png"}
        turns = [
            {"from": "human", "value": ("<image> " if image else "") + _QUESTION},
            {"from": "gpt", "value": _ANSWER},
        ]
        yield json.dumps({"id": number, "conversations": turns, **image}) + "\n"


def _commit() -> str:
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    main(sys.argv[1:])
