"""Audits of sources that need not exist, and of small real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from opabinia.data.arrow import pa
from opabinia.data.audited import (
    RECORD_SCHEMA,
    RECORDS_NAME,
    SUMMARY_NAME,
    AuditedShard,
    AuditedSource,
    AuditSummary,
    open_audited,
)

Facts = tuple[int, int]
"""Tokens of a record's text, and how many pictures it has."""


def imagined_audit(folder: Path, shards: Sequence[Sequence[Facts]]) -> AuditedSource:
    """What the audit of such shards would leave, without the shards."""
    folder.mkdir(parents=True, exist_ok=True)
    with pa.ipc.new_file(str(folder / RECORDS_NAME), RECORD_SCHEMA) as writer:
        for shard in shards:
            rows = [
                {
                    "line": line,
                    "offset": 0,
                    "size": 1,
                    "tokens": tokens,
                    "images": ["x"] * images,
                    "keys": ["k"] * images,
                }
                for line, (tokens, images) in enumerate(shard, start=1)
            ]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=RECORD_SCHEMA))
    found = tuple(
        AuditedShard(address=f"/data/{number}.jsonl", bytes=0, records=len(shard))
        for number, shard in enumerate(shards)
    )
    summary = AuditSummary(source="imagined", images="/images", shards=found, rejected=0)
    (folder / SUMMARY_NAME).write_text(summary.model_dump_json())
    return open_audited(folder)
