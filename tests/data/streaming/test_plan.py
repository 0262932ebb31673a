"""Which samples are used at which step: the same for any number of workers, and from any step on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opabinia.data.streaming.batching import BatchingConfig, GroupedBatches, PackedBatches, PlainBatches
from opabinia.data.streaming.plan import Progress, Share, StreamPlan, StreamPosition, WindowWork
from tests.data.streaming.audits import Facts, imagined_audit

VISUAL = 16
BATCHINGS: list[BatchingConfig] = [
    PlainBatches(),
    GroupedBatches(type="grouped", window=3),
    PackedBatches(type="packed", tokens=64, window=40),
]
every_batching = pytest.mark.parametrize("batching", BATCHINGS, ids=lambda batching: batching.type)


def facts(number: int) -> Facts:
    return 5 + number * 7 % 40, number % 3 % 2


@pytest.fixture(scope="module")
def shards() -> list[list[Facts]]:
    sizes = (31, 0, 50, 7, 12)
    return [[facts(100 * shard + row) for row in range(size)] for shard, size in enumerate(sizes)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shards: list[list[Facts]]) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    imagined_audit(folder, shards)
    return folder


def plan(folder: Path, batching: BatchingConfig, batch: int = 4, seed: int = 7) -> StreamPlan:
    from opabinia.data.audited import open_audited

    return StreamPlan(open_audited(folder), seed, batch, batching, VISUAL)


Samples = list[tuple[int, int]]


def samples(stream: StreamPlan, work: WindowWork, share: Share) -> list[Samples]:
    """The samples of each unit that the worker reads, as (shard, row)."""
    window = [(part.shard, int(row)) for part in stream.stretches(work.window) for row in part.rows]
    return [[window[place] for place in unit] for unit in stream.owned(work, share)]


def steps(stream: StreamPlan, count: int, workers: int, start: StreamPosition | None = None) -> list[list[Samples]]:
    """Per step the units of all workers, in the order of the workers."""
    work = list(stream.work(start or stream.position(0, 0), count * stream.batch))
    each = stream.batch // workers
    of_workers = [
        [unit for part in work for unit in samples(stream, part, Share(worker, workers))] for worker in range(workers)
    ]
    assert all(len(units) == count * each for units in of_workers)
    return [[unit for units in of_workers for unit in units[step * each : (step + 1) * each]] for step in range(count)]


@every_batching
def test_any_number_of_workers_uses_the_same_units_at_the_same_step(folder: Path, batching: BatchingConfig) -> None:
    one, two, four = (steps(plan(folder, batching), 50, workers) for workers in (1, 2, 4))
    assert one == two == four


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(
    batching=st.sampled_from(BATCHINGS),
    before=st.integers(0, 40),
    workers=st.sampled_from([(1, 2), (2, 1), (4, 2)]),
)
def test_after_a_stop_at_any_step_the_stream_goes_on_with_any_number_of_workers(
    folder: Path, batching: BatchingConfig, before: int, workers: tuple[int, int]
) -> None:
    stream = plan(folder, batching)
    whole = steps(stream, before + 10, workers[0])
    work = list(stream.work(stream.position(0, 0), (before + 10) * stream.batch))
    stopped = Progress(stream, work).after(before * stream.batch)
    assert steps(stream, 10, workers[1], stopped) == whole[before:]


@every_batching
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(
    workers=st.sampled_from([1, 2, 4]), rows=st.integers(1, 30), skipped=st.integers(0, 20), count=st.integers(1, 15)
)
def test_work_that_is_cut_into_pieces_is_the_same_work(
    folder: Path, batching: BatchingConfig, workers: int, rows: int, skipped: int, count: int
) -> None:
    stream = plan(folder, batching)
    for work in stream.work(stream.position(0, skipped), count * stream.batch):
        for worker in range(workers):
            share = Share(worker, workers)
            pieces = list(stream.pieces(work, share, rows))
            read = [samples(stream, piece, share) for piece in pieces]
            assert [unit for piece in read for unit in piece] == samples(stream, work, share)
            assert max(map(len, read)) <= rows
            assert len(pieces) <= len(samples(stream, work, share)) // rows + 1


@every_batching
def test_all_samples_of_the_windows_are_used_exactly_once(
    folder: Path, batching: BatchingConfig, shards: list[list[Facts]]
) -> None:
    """100 records: windows are not aligned with epochs, yet three epochs of samples hold each record thrice."""
    stream = plan(folder, batching)
    expected = Counter({(shard, row): 3 for shard, facts in enumerate(shards) for row in range(len(facts))})
    found, window = Counter[tuple[int, int]](), 0
    needed = 3 * 100
    while sum(found.values()) < needed:
        inside = [(part.shard, int(row)) for part in stream.stretches(window) for row in part.rows]
        units = stream.units(window)
        assert sorted(int(place) for unit in units for place in unit) == list(range(len(inside)))
        used = inside[: needed - sum(found.values())]
        found.update(used)
        window += 1
    assert found == expected


def test_packed_rows_are_never_longer_than_allowed_and_nearly_full(folder: Path, shards: list[list[Facts]]) -> None:
    stream = plan(folder, BATCHINGS[2])

    def length(sample: tuple[int, int]) -> int:
        tokens, images = shards[sample[0]][sample[1]]
        return tokens + images * (VISUAL - 1)

    rows = [sum(map(length, unit)) for step in steps(stream, 20, 1) for unit in step]
    assert max(rows) <= 64
    assert sum(rows) / (64 * len(rows)) > 0.9


def test_grouped_batches_hold_one_kind_and_similar_lengths(folder: Path, shards: list[list[Facts]]) -> None:
    def spread(batching: BatchingConfig) -> tuple[float, float]:
        found = steps(plan(folder, batching), 60, 1)
        kinds = [{shards[s][r][1] for unit in step for s, r in unit} for step in found]
        lengths = [[shards[s][r][0] for unit in step for s, r in unit] for step in found]
        return sum(len(kind) == 1 for kind in kinds) / 60, sum(max(found) - min(found) for found in lengths) / 60

    plain, grouped = spread(BATCHINGS[0]), spread(GroupedBatches(type="grouped", window=12))
    assert grouped[0] > 0.8 > plain[0]
    assert grouped[1] < 0.5 * plain[1]


@every_batching
def test_a_position_of_other_data_or_another_seed_is_refused(
    folder: Path, batching: BatchingConfig, tmp_path: Path
) -> None:
    stream = plan(folder, batching)
    position = stream.position(3, 2)
    stream.check(position)
    with pytest.raises(ValueError, match=r"data\.sources\.imagined: cannot be resumed, because seed was 7 and is 8"):
        plan(folder, batching, seed=8).check(position)
    imagined_audit(tmp_path, [[(3, 0)] * 100])
    with pytest.raises(ValueError, match="cannot be resumed, because data was"):
        plan(tmp_path, batching).check(position)


def test_a_position_tells_epoch_shard_and_offset(folder: Path) -> None:
    stream = plan(folder, PlainBatches())
    position = stream.position(1, 0)
    # A window of 512 samples of a source of 100 records.
    assert position.epoch == 5
    at = stream.order.position(512)
    assert (position.shard, position.offset) == (at.shard, at.offset)
