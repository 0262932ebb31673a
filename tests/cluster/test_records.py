"""State files."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

from opabinia.cluster.processes import Started
from opabinia.cluster.records import Record, drop_record, read_record, sole_use, write_record

RECORD = Record(
    started=Started(pid=4242, start_time=1700000000.25, mark="0123"),
    url="http://127.0.0.1:5000",
    ports={"mlflow_port": 5000},
    exports={"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"},
    scratch=None,
)


def test_a_record_is_read_as_it_was_written_until_it_is_dropped(tmp_path: Path) -> None:
    assert read_record(tmp_path, "mlflow") is None
    write_record(tmp_path, "mlflow", RECORD)
    assert read_record(tmp_path, "mlflow") == RECORD
    assert read_record(tmp_path, "ray") is None
    drop_record(tmp_path, "mlflow")
    assert read_record(tmp_path, "mlflow") is None


def test_dropping_what_is_not_there_is_fine(tmp_path: Path) -> None:
    drop_record(tmp_path, "ray")
    assert list(tmp_path.iterdir()) == []


def test_one_command_at_a_time_has_the_folder_and_only_its_owner_sees_into_it(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / ".local"
    order: list[str] = []
    entered = threading.Event()

    def second() -> None:
        entered.wait()
        with sole_use(folder):
            order.append("second")

    other = threading.Thread(target=second)
    other.start()
    with sole_use(folder):
        entered.set()
        other.join(timeout=0.3)
        order.append("first")
    other.join()
    assert order == ["first", "second"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
