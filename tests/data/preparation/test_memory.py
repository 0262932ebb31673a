"""What is held while a file of 200 MB is read, written as shards and converted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

MEASURED = """
import sys
from pathlib import Path

import psutil

from opabinia.data.preparation.converting import json_to_jsonl, jsonl_to_json
from opabinia.data.preparation.index import read_rows
from opabinia.data.preparation.reading import read_records
from opabinia.data.preparation.settings import ShardingConfig
from opabinia.data.preparation.sharding import write_prepared

folder = Path(sys.argv[1])
write_prepared(read_records([folder / "small.json"]), folder / sys.argv[2] / "warm", ShardingConfig(shard_size=1000))
list(read_rows(folder / sys.argv[2] / "warm", [0]))

def peak() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))

before = peak()
if sys.argv[2] == "prepare":
    write_prepared(read_records([folder / "large.json"]), folder / "data", ShardingConfig(shard_size=5000))
else:
    json_to_jsonl(folder / "large.json", folder / "large.jsonl")
    jsonl_to_json(folder / "large.jsonl", folder / "again.json")
print((peak() - before) / 2**20)
"""


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("arrays")
    text = 'The [red] {circle}, "é", stands left of it. ' * 95
    with (folder / "large.json").open("w", encoding="utf-8") as large:
        large.write("[")
        for number in range(50_000):
            record = {
                "id": number,
                "conversations": [{"from": "human", "value": text}, {"from": "gpt", "value": "Yes."}],
            }
            large.write((",\n" if number else "") + json.dumps(record, ensure_ascii=False))
        large.write("]")
    (folder / "small.json").write_text(json.dumps([{"id": 1}]))
    assert (folder / "large.json").stat().st_size > 200e6
    return folder


@pytest.mark.parametrize("step", ["prepare", "convert"])
def test_memory_does_not_grow_with_the_file(step: str, arrays: Path) -> None:
    done = subprocess.run([sys.executable, "-c", MEASURED, str(arrays), step], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 60
