"""A user's mistake is a line on stderr and status 2; a mistake of ours keeps its traceback."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opabinia.command_line import plain_errors
from opabinia.command_line.failures import user_message
from opabinia.storage.atomic import whole_folder
from opabinia.sweeps.scheduling import SchedulerConfig


def run(body: str, file: str) -> None:
    """Run code as if it stood in a file."""
    exec(compile(body, file, "exec"), {})


def test_our_own_value_error_is_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    @plain_errors()
    def main() -> None:
        with whole_folder(tmp_path):
            pass

    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"{tmp_path}: exists already; remove it or choose another name\n"


def test_settings_made_wrong_in_code_are_one_line_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), plain_errors():
        SchedulerConfig.model_validate({"grace": 0, "reduction_factor": "few"})
    assert capsys.readouterr().err == (
        "SchedulerConfig: grace: expected more than 0, got 0\nSchedulerConfig: reduction_factor: expected a whole number, got 'few'\n"
    )


def test_other_errors_pass_through() -> None:
    with pytest.raises(RuntimeError, match="boom"), plain_errors():
        run("raise RuntimeError('boom')", "/repo/platform/opabinia/x.py")
    with pytest.raises(KeyboardInterrupt), plain_errors():
        raise KeyboardInterrupt


def test_a_librarys_value_error_passes_through() -> None:
    with pytest.raises(ValueError, match="boom"), plain_errors():
        run("raise ValueError('boom')", "/opabinia/.venv/lib/python3.11/site-packages/lib/x.py")


def test_an_error_in_compiled_code_that_we_called_passes_through(tmp_path: Path) -> None:
    file = tmp_path / "opabinia" / "x.py"
    file.parent.mkdir()
    file.write_text("int('three')\n")
    with pytest.raises(ValueError, match="three"), plain_errors():
        run(file.read_text(), str(file))


def test_a_package_installed_beside_libraries_is_still_ours() -> None:
    with pytest.raises(SystemExit), plain_errors():
        run("raise ValueError('boom')", "/usr/lib/python3/dist-packages/opabinia/x.py")


def test_a_body_without_errors_returns_its_value() -> None:
    @plain_errors()
    def main() -> int:
        return 3

    assert main() == 3


@pytest.fixture(scope="module")
def from_worker(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Work that fails in Ray's workers, by our own `raise` and inside a library."""
    taken = str(tmp_path_factory.mktemp("taken"))

    def ours() -> None:
        with whole_folder(taken):
            pass

    def librarys() -> None:
        int("three")

    return SimpleNamespace(
        ours=ours, librarys=librarys, line=f"{taken}: exists already; remove it or choose another name"
    )


def in_task(work: Any) -> None:
    import ray

    ray.get(ray.remote(num_cpus=0.1)(work).remote())


def in_nested_task(work: Any) -> None:
    in_task(lambda: in_task(work))


def in_actors_start(work: Any) -> None:
    import ray

    class Actor:
        def __init__(self) -> None:
            work()

        def ready(self) -> None: ...

    ray.get(ray.remote(num_cpus=0.1)(Actor).remote().ready.remote())


def in_data(work: Any) -> None:
    import ray

    ray.data.range(1).map(lambda row: work() or row, num_cpus=0.1).take_all()


@pytest.mark.parametrize("place", [in_task, in_nested_task, in_actors_start, in_data])
def test_the_users_line_is_found_in_what_ray_brings_back_from_a_worker(
    place: Any, from_worker: SimpleNamespace
) -> None:
    with pytest.raises(Exception) as caught:
        place(from_worker.ours)
    assert user_message(caught.value) == from_worker.line
    with pytest.raises(Exception) as caught:
        place(from_worker.librarys)
    assert user_message(caught.value) is None


def test_the_users_line_is_found_in_a_failed_training_run(from_worker: SimpleNamespace) -> None:
    from ray.train import ControllerError, WorkerGroupError

    with pytest.raises(Exception) as caught:
        in_task(from_worker.ours)
    text = str(caught.value)
    cause = caught.value.cause
    assert user_message(WorkerGroupError(text, {0: cause})) == from_worker.line
    assert user_message(ControllerError(cause)) == from_worker.line
