from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.features.room import bytes_used, check_room, free_bytes, size_text, sole_builder


def test_the_budget_is_of_the_whole_table_and_the_refusal_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "features.lance"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "a").write_bytes(bytes(600_000))
    assert bytes_used(folder) == 600_000
    check_room(folder, 400_000, budget_gb=0.001)
    with pytest.raises(
        ValueError, match=r"^cache\.budget_gb: the features take 1\.0 MB \(600\.0 kB .* raise it"
    ) as caught:
        check_room(folder, 400_001, budget_gb=0.001)
    assert "\n" not in str(caught.value)
    check_room(folder, 0, budget_gb=1e-9)


def test_more_than_the_disk_has_is_refused_even_before_the_folder_exists(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet" / "features.lance"
    check_room(folder, 1, budget_gb=None)
    with pytest.raises(ValueError, match=r"^output: the features take .* more, and the disk of .* has .* free"):
        check_room(folder, 2 * free_bytes(folder), budget_gb=None)


def test_a_table_is_built_by_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        sole_builder(tmp_path / "a"),
        pytest.raises(ValueError, match="is being built by another process"),
        sole_builder(tmp_path / "a"),
    ):
        pass
    with sole_builder(tmp_path / "a"):
        pass


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0.0 kB"), (1500, "1.5 kB"), (2.5e6, "2.5 MB"), (3e9, "3.0 GB"), (4.2e12, "4.2 TB")]
)
def test_sizes_are_said_in_units_people_read(size: float, text: str) -> None:
    assert size_text(size) == text
