"""Hearing from the metadata server that this machine will end, and finding the Ray node that ends with it."""

from __future__ import annotations

import ast
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from threading import Thread

import pytest
import yaml

from opabinia.cluster import preemption
from opabinia.cluster.preemption import Notice, find_node, follow, notices, read_entry
from tests.cluster.metadata_server import MetadataServer, metadata_server

ROOT = Path(__file__).resolve().parents[2]
PREEMPTED = Notice("preempted", "TRUE", 30.0)
MAINTENANCE = Notice("maintenance-event", "TERMINATE_ON_HOST_MAINTENANCE", 60.0)


@pytest.fixture
def server() -> Iterator[MetadataServer]:
    with metadata_server() as server:
        yield server


def wait_until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


class Over(Exception):
    """Ends a follower's thread."""


@dataclass
class Follower:
    """A thread that follows one entry, and what it has found; ends when it finds something after `over` is set."""

    server: MetadataServer
    notice: Notice
    found: list[Notice] = field(default_factory=list)
    over: bool = False

    def start(self) -> Follower:
        self.thread = Thread(target=self._follow, daemon=True)
        self.thread.start()
        return self

    def _follow(self) -> None:
        with suppress(Over):
            follow(self.server.host, self.notice, self._note)

    def _note(self, notice: Notice) -> None:
        if self.over:
            raise Over
        self.found.append(notice)

    def sees(self, value: str) -> None:
        """Set the entry, and return when the follower has seen it and asks for the next version."""
        self.server.put(self.notice.entry, value)
        asked = len(self.server.asked)
        wait_until(lambda: len(self.server.asked) > asked)

    def stop(self) -> None:
        self.over = True
        self.sees("over")
        self.server.put(self.notice.entry, self.notice.value)
        self.thread.join(timeout=5)
        assert not self.thread.is_alive()


@pytest.fixture
def follower(server: MetadataServer) -> Iterator[Callable[[Notice], Follower]]:
    started: list[Follower] = []

    def start(notice: Notice) -> Follower:
        started.append(Follower(server, notice).start())
        return started[-1]

    yield start
    for follower in started:
        follower.stop()


def test_a_machine_with_gpus_hears_of_maintenance_an_hour_ahead_and_any_other_a_minute(tmp_path: Path) -> None:
    assert notices(tmp_path) == (PREEMPTED, MAINTENANCE)
    (tmp_path / "nvidiactl").touch()
    assert notices(tmp_path) == (PREEMPTED, MAINTENANCE)
    (tmp_path / "nvidia0").touch()
    assert [notice.seconds for notice in notices(tmp_path)] == [30.0, 3600.0]


def test_the_first_answer_comes_at_once_and_the_next_with_the_change(server: MetadataServer) -> None:
    value, version = read_entry(server.host, "preempted", "0")
    assert value == "FALSE"
    answers: list[tuple[str, str]] = []
    waiting = Thread(target=lambda: answers.append(read_entry(server.host, "preempted", version)))
    waiting.start()
    waiting.join(timeout=0.2)
    assert answers == []
    server.put("preempted", "TRUE")
    waiting.join(timeout=5)
    assert [value for value, _ in answers] == ["TRUE"]


def test_a_change_between_two_questions_is_not_missed(server: MetadataServer) -> None:
    _, version = read_entry(server.host, "preempted", "0")
    server.put("preempted", "TRUE")
    assert read_entry(server.host, "preempted", version)[0] == "TRUE"


def test_a_request_ends_without_a_change_too(server: MetadataServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preemption, "_HANG_S", 0.05)
    first = read_entry(server.host, "preempted", "0")
    assert read_entry(server.host, "preempted", first[1]) == first


@pytest.mark.parametrize("fault", ["503", "stranger", "versionless"])
def test_what_is_no_answer_of_a_metadata_server_is_an_error(server: MetadataServer, fault: str) -> None:
    server.fail(fault)
    with pytest.raises(ConnectionError, match="answers like no metadata server"):
        read_entry(server.host, "preempted", "0")


def test_a_broken_connection_is_an_error(server: MetadataServer) -> None:
    server.fail("reset")
    with pytest.raises((ConnectionError, HTTPException)):
        read_entry(server.host, "preempted", "0")


def test_a_connection_that_died_unnoticed_is_given_up(server: MetadataServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preemption, "_HANG_S", 0.05)
    monkeypatch.setattr(preemption, "_SLACK_S", 0.05)
    server.fail("silence")
    with pytest.raises(TimeoutError):
        read_entry(server.host, "preempted", "0")


@pytest.mark.parametrize("notice", [PREEMPTED, MAINTENANCE])
def test_a_notice_is_found_once(server: MetadataServer, follower: Callable[[Notice], Follower], notice: Notice) -> None:
    following = follower(notice)
    following.sees("MIGRATE_ON_HOST_MAINTENANCE")
    assert following.found == []
    following.sees(notice.value)
    # A new version of the same value, as a server that starts again gives.
    following.sees(notice.value)
    assert following.found == [notice]
    assert set(server.asked) == {notice.entry}


def test_a_notice_that_was_there_before_is_found(
    server: MetadataServer, follower: Callable[[Notice], Follower]
) -> None:
    server.put("preempted", "TRUE")
    following = follower(PREEMPTED)
    wait_until(lambda: following.found == [PREEMPTED])


def test_a_notice_taken_back_and_given_again_is_found_twice(follower: Callable[[Notice], Follower]) -> None:
    following = follower(MAINTENANCE)
    for value in (MAINTENANCE.value, "NONE", MAINTENANCE.value):
        following.sees(value)
    assert following.found == [MAINTENANCE] * 2


def test_a_notice_after_an_outage_is_found_and_the_outage_is_one_line_in_the_log(
    server: MetadataServer, follower: Callable[[Notice], Follower], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.fail("503", "reset", "stranger")
    following = follower(PREEMPTED)
    wait_until(lambda: len(server.asked) > 3)
    assert following.found == []
    server.put("preempted", "TRUE")
    wait_until(lambda: following.found == [PREEMPTED])
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "instance/preempted cannot be read, trying again"
    ]


def test_a_server_that_does_not_hang_is_not_asked_without_a_pause(
    server: MetadataServer, follower: Callable[[Notice], Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preemption, "_HANG_S", 0)
    follower(PREEMPTED)
    time.sleep(0.5)
    assert 2 <= len(server.asked) <= 4


@dataclass(frozen=True)
class Processes:
    """A folder like /proc."""

    folder: Path

    def add(self, number: int, *words: str) -> None:
        (self.folder / f"{number}").mkdir(exist_ok=True)
        (self.folder / f"{number}" / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in words))

    def add_raylet(self, number: int, node_id: str, address: str = "10.0.0.7") -> None:
        flags = (f"--node_id={node_id}", f"--node_ip_address={address}", "--gcs-address=10.0.0.2:6379")
        self.add(number, "/opt/ray/raylet", *flags, '--labels={"a":"b=c"}', "--head")


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    found = Processes(tmp_path)
    found.add(1, "bash")
    found.add(2)
    found.add(3, "/usr/bin/python", "raylet", "--node_id=ff")
    (tmp_path / "self").mkdir()
    return found


def test_the_node_is_that_of_the_raylet_on_this_machine(processes: Processes) -> None:
    processes.add_raylet(40, "cafe")
    node = find_node(None, processes.folder)
    assert (node.node_id, node.address, node.gcs_address) == ("cafe", "10.0.0.7", "10.0.0.2:6379")


def test_without_a_node_and_with_several_it_is_said_what_to_do(processes: Processes) -> None:
    with pytest.raises(ValueError, match="no Ray node runs on this machine; start it first"):
        find_node(None, processes.folder)
    processes.add_raylet(40, "cafe")
    processes.add_raylet(41, "beef", "10.0.0.8")
    with pytest.raises(ValueError, match=r"2 Ray nodes run here; .* --node-ip-address \(10\.0\.0\.7, 10\.0\.0\.8\)"):
        find_node(None, processes.folder)
    assert find_node("10.0.0.8", processes.folder).node_id == "beef"
    with pytest.raises(ValueError, match=r"with the address 10\.0\.0\.9"):
        find_node("10.0.0.9", processes.folder)


def test_a_node_has_ended_when_its_process_has(processes: Processes) -> None:
    processes.add_raylet(40, "cafe")
    node = find_node(None, processes.folder)
    assert node.is_running()
    # Ended, and not yet waited for by its parent.
    processes.add(40)
    assert not node.is_running()
    # Another node, with the same process number.
    processes.add_raylet(40, "beef")
    assert not node.is_running()
    processes.add_raylet(40, "cafe")
    assert node.is_running()
    (processes.folder / "40" / "cmdline").unlink()
    assert not node.is_running()


def test_the_file_runs_where_only_ray_is_installed() -> None:
    tree = ast.parse(Path(preemption.__file__).read_text())
    imports = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    imports += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in imports} - sys.stdlib_module_names == {"ray"}


@pytest.mark.parametrize("command", [("-m", "opabinia.cluster", "preemption-watch"), (preemption.__file__,)])
def test_a_mistake_ends_it_at_once(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, *command, "--node-ip-address", "127.250.250.250"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "no Ray node runs with the address 127.250.250.250; start it first, with `ray start`\n"


@pytest.mark.parametrize("file", sorted((ROOT / "clusters").glob("gcp-*.yaml")), ids=lambda file: file.stem)
def test_every_machine_that_can_be_taken_away_is_watched_and_its_container_lives_as_long(file: Path) -> None:
    config = yaml.safe_load(file.read_text())
    assert ROOT / config["file_mounts"]["~/opabinia/preemption.py"] == Path(preemption.__file__)
    stop, start, watcher = config["worker_start_ray_commands"]
    assert "ray stop" in stop
    assert "ray start" in start
    assert "python ~/opabinia/preemption.py <" in watcher
    # An idle node that drains shuts down at once; the head is no spot machine, and all others need it.
    assert "preemption" not in str(config["head_start_ray_commands"])
    (patience,) = [word for word in config["docker"]["run_options"] if word.startswith("--stop-timeout=")]
    assert float(patience.split("=")[1]) == PREEMPTED.seconds
