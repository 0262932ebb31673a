"""kill -9 in mid-run, and again: no answer is asked for twice, none is lost, and the key is written nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from opabinia.data.instructions.pipeline import generate_from_captions
from tests.data.instructions import killed_run
from tests.data.instructions.endpoint import Behaviour, Reply, pairs, serving
from tests.data.instructions.killing import complete_lines, contents, kill, wait_until
from tests.data.instructions.specimens import caption_file, read_records, settings

pytestmark = pytest.mark.e2e

KEY = "sk-very-secret-0123456789"
BIRDS, QUICK, AT_ONCE = 24, 12, 4
# Birds 0, 5 and 10 are asked about twice.
ANSWERS = QUICK + 3
ASKING = {"at_once": AT_ONCE, "processes": 2, "requests_per_task": 5}


def writer(released: threading.Event) -> Behaviour:
    """Answers about the first birds at once and keeps all who ask about others waiting; every fifth first answer is bad."""

    def behave(user: str, count: int) -> Reply:
        number = int(user.split()[2].rstrip("."))
        if number >= QUICK:
            released.wait(60)
        if number % 5 == 0 and "An earlier answer" not in user:
            return Reply(f"no pairs, {KEY}")
        return Reply(pairs(2, f"bird {number}"))

    return behave


def begin(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "output").open("wb") as output:
        command = [sys.executable, "-m", killed_run.__name__, str(folder)]
        return subprocess.Popen(command, env=os.environ | {"WRITER_KEY": KEY}, stdout=output, stderr=subprocess.STDOUT)


def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path: Path, local_ray: None) -> None:
    captions, answers, released = caption_file(tmp_path / "birds.jsonl", BIRDS), tmp_path / "answers", threading.Event()
    with serving(writer(released)) as server:
        keyed = settings(server.url, tmp_path, asking=ASKING, endpoint={"api_key_env": "WRITER_KEY", "timeout_s": 60.0})
        (tmp_path / "settings.json").write_text(keyed.model_dump_json())
        process = begin(tmp_path)
        wait_until(
            lambda: (
                process.poll() is not None
                or (complete_lines(answers), server.requested.total()) == (ANSWERS, ANSWERS + AT_ONCE)
            )
        )
        assert process.poll() is None, (tmp_path / "output").read_text()
        kill(process)
        answered, waiting = set(server.answered), set(server.requested) - set(server.answered)
        assert len(answered) == ANSWERS and len(waiting) == AT_ONCE and server.keys == {f"Bearer {KEY}"}
        assert not (tmp_path / "killed").exists()
        # What a killed writer may leave of its last line.
        with min(answers.glob("*.answers.jsonl")).open("ab") as handle:
            handle.write(b'{"key": "0123')

        released.set()
        server.requested.clear()
        resumed = settings(server.url, tmp_path, asking=ASKING)
        generate_from_captions(resumed, [captions], tmp_path / "resumed", answers=answers)
        assert not answered & set(server.requested)
        assert waiting < set(server.requested) and set(server.requested.values()) == {1}
        generate_from_captions(resumed, [captions], tmp_path / "whole", answers=tmp_path / "other answers")

    assert [record["id"] for record in read_records(tmp_path / "resumed")] == [f"b{n}" for n in range(BIRDS)]
    for file in ("records/part-00000.jsonl", "rejected.jsonl", "report.json"):
        assert (tmp_path / "resumed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert json.loads((tmp_path / "resumed/report.json").read_text())["models"]["writer-2026"]["requests"] == BIRDS + 5
    assert not list(answers.glob("*.pending.jsonl"))
    _no_key_is_written(tmp_path, answers)


def _no_key_is_written(folder: Path, answers: Path) -> None:
    """In the log of the killed run, which the server told the key; in its output; and in what Ray wrote about it."""
    killed_runs = "".join(file.read_text() for file in answers.glob("*.answers.jsonl"))
    assert "no pairs, ***" in killed_runs
    ray_logs = contents(Path((folder / "session").read_text()) / "logs")
    assert ray_logs
    for text in (ray_logs, (folder / "output").read_text(), (folder / "settings.json").read_text()):
        assert KEY not in text
    first_attempts = [line for line in killed_runs.splitlines() if "***" in line]
    assert len(first_attempts) == 3
