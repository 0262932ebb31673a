"""Several workers save and load together, with as many as before or with others."""

from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.training.checkpointing.layout import list_checkpoints
from opabinia.training.checkpointing.manifest import read_manifest
from tests.training.checkpointing import runs
from tests.training.checkpointing.processes import together

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (3, 2), (2, 3)])
def test_sharded_parameters_and_optimiser_are_exact_with_any_number_of_workers(
    tmp_path: Path, before: int, after: int
) -> None:
    saved = together(before, runs.begin, str(tmp_path), 3, True)
    loaded = together(after, runs.go_on, str(tmp_path), 1, True)
    for _, prints in saved:
        assert prints == saved[0][1]
    for rank, (prints, same_randomness, _, _) in enumerate(loaded):
        assert prints == saved[0][1]
        assert same_randomness == (rank < before)


@pytest.mark.parametrize("sharded", [True, False])
def test_two_workers_go_on_as_if_nothing_had_happened(tmp_path: Path, sharded: bool) -> None:
    expected = together(2, runs.uninterrupted, 8, sharded)
    before = together(2, runs.begin, str(tmp_path), 5, sharded)
    after = together(2, runs.go_on, str(tmp_path), 3, sharded)
    for (losses, prints), (first, _), (_, _, then, end) in zip(expected, before, after, strict=True):
        assert first + then == losses
        assert end == prints


def test_each_worker_writes_a_share_of_what_all_hold(tmp_path: Path) -> None:
    together(2, runs.begin, str(tmp_path), 1, False)
    (found,) = list_checkpoints(tmp_path)
    manifest = read_manifest(found.address)
    sizes = [entry.bytes for name, entry in manifest.files.items() if name.startswith("worker")]
    assert manifest.workers == len(sizes) == 2
    # Each has its random generators, 16 kB, beside its share.
    assert max(sizes) < 1.2 * min(sizes)


def test_parameters_that_lie_gathered_are_saved_as_well(tmp_path: Path) -> None:
    looked = together(2, runs.save_after_looking, str(tmp_path))
    (prints, _, _, _), _ = together(2, runs.go_on, str(tmp_path), 1, True)
    assert prints == looked[0]


def test_the_first_workers_clock_decides_for_all() -> None:
    clocks = [[10.0, 50.0, 61.0, 70.0], [1000.0, 2000.0, 3000.0, 4000.0]]
    assert together(2, runs.decisions, clocks, [None, None]) == [[3, 4], [3, 4]]


def test_any_worker_may_ask_for_all() -> None:
    clocks = [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
    assert together(2, runs.decisions, clocks, [None, 2]) == [[2], [2]]


def test_disks_that_are_not_shared_are_noticed(tmp_path: Path) -> None:
    first, second = together(2, runs.save_elsewhere, str(tmp_path))
    assert first == second
    assert (
        "worker-00001-0000.safetensors: another worker wrote it and this one does not see it; use an address" in first
    )
    assert list_checkpoints(tmp_path / "0" / "checkpoints") == []


def test_damage_that_one_worker_meets_is_told_by_all(tmp_path: Path) -> None:
    together(2, runs.begin, str(tmp_path), 1, True)
    (file,) = tmp_path.glob("*/worker-00001-0000.safetensors")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    first, second = together(2, runs.load_failing, str(tmp_path))
    assert first == second
    assert first.startswith(f"{file}: damaged: its SHA-256 is not that of what was saved")


def test_what_does_not_fit_on_one_worker_is_told_by_all(tmp_path: Path) -> None:
    together(2, runs.begin, str(tmp_path), 1, False)
    first, second = together(2, runs.load_where_one_is_other, str(tmp_path))
    assert first == second
    assert "holds passes, which this model does not have" in first


def test_workers_with_different_models_write_no_checkpoint(tmp_path: Path) -> None:
    first, second = together(2, runs.save_where_one_is_other, str(tmp_path))
    assert first == second
    assert "no worker holds it; give all workers the same model and optimiser" in first
    assert list_checkpoints(tmp_path) == []
