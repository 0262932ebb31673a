"""jobs/generate_instructions.py as a user runs it: real servers that fail, stall and answer badly, kill -9, and bad settings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from opabinia.data.prepare_config import PrepareConfig, SetConfig
from opabinia.data.records import parse_record
from tests.conftest import ROOT
from tests.data.instructions.endpoint import Reply, pairs, serving
from tests.data.instructions.killing import complete_lines, contents, kill, wait_until
from tests.data.instructions.specimens import LICENCE, TEMPLATES, caption_file, read_rows, write_json
from tests.data.instructions.wiki_server import LONG, serving_wiki

pytestmark = pytest.mark.e2e

KEY = "sk-very-secret-0123456789"
BIRDS = 12


def experiment(folder: Path, url: str, source: dict[str, Any] | None = None, **changes: Any) -> Path:
    """An experiment file as a user would write it; `changes` replace whole fields, or entries of the nested ones."""
    captions = {"type": "captions", "files": [str(folder / "birds.jsonl")], "images": str(folder / "images")}
    fields: dict[str, Any] = {
        "output": str(folder / "out"),
        "source": source or captions,
        "endpoint": {"base_url": url, "model": "writer", "timeout_s": 20.0},
        "date": "2026-11-21",
        "patience": {"tries": 4, "first_wait_s": 0.01, "longest_wait_s": 3.0},
        "asking": {"at_once": 4},
        "templates": str(write_json(folder / "templates.json", TEMPLATES)),
        "prices": str(write_json(folder / "prices.json", {"prices": {"writer": {"prompt": 2.0, "completion": 10.0}}})),
        "licences": {"Birds": LICENCE},
        "progress_s": 0.2,
    }
    for name, value in changes.items():
        fields[name] = fields[name] | value if isinstance(value, dict) and name in fields else value
    file = folder / "experiment.yaml"
    file.write_text(yaml.safe_dump(fields))
    return file


def start(file: Path, *flags: str, **environment: str) -> subprocess.Popen[str]:
    # A Ray instance of its own, whatever else runs on this machine.
    own = {"RAY_ADDRESS": "local", "RAY_USAGE_STATS_ENABLED": "0", "PYTHONUNBUFFERED": "1"}
    with (file.parent / "printed").open("w") as printed:
        return subprocess.Popen(
            [sys.executable, ROOT / "jobs" / "generate_instructions.py", "--config", file, *flags],
            cwd=file.parent, env=os.environ | own | environment, stdout=printed, stderr=subprocess.STDOUT,
        )  # fmt: skip


def printed(file: Path) -> str:
    return (file.parent / "printed").read_text()


def run(file: Path, *flags: str, **environment: str) -> str:
    status = start(file, *flags, **environment).wait(300)
    assert status == 0, printed(file)
    return printed(file)


def refusal(file: Path, *flags: str, **environment: str) -> str:
    """The one line, beside its plan, that a run prints which cannot go on."""
    assert start(file, *flags, **environment).wait(300) == 2, printed(file)
    assert "Traceback" not in printed(file)
    return printed(file).strip().splitlines()[-1]


def records(folder: Path) -> list[dict[str, Any]]:
    return [
        row for part in sorted(folder.glob("out/records-*/generated/records/part-*.jsonl")) for row in read_rows(part)
    ]


def prepared_set(said: str) -> SetConfig:
    """The set that the last lines of a run give to jobs/prepare_data.py."""
    lines = yaml.safe_load(said[said.index("\nsets:") :])
    return PrepareConfig.model_validate({"output": "prepared", **lines}).sets["generated"]


def bad_then_good(user: str, count: int) -> Reply:
    """Bird 1 fails and hangs up first, 2 is asked to wait, 3 is answered badly once, 4 always, 5 is refused by the model."""
    number, complained = int(user.split()[2].rstrip(".")), "An earlier answer" in user
    first = {
        1: [Reply("on fire", status=500), Reply(pairs(2), cut=True)],
        2: [Reply("busy", status=429, headers={"Retry-After": "1"})],
    }
    if count <= len(first.get(number, [])):
        return first[number][count - 1]
    if number == 4 or (number == 3 and not complained):
        return Reply("Q1: Which?\nA1: A bird.\nQ2: Where?")
    return Reply("I'm sorry, but I can't help with that." if number == 5 else pairs(2, f"bird {number}"))


def test_captions_become_records_in_spite_of_everything_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    caption_file(tmp_path / "birds.jsonl", BIRDS)
    with serving(bad_then_good) as server:
        file = experiment(tmp_path, server.url, endpoint={"api_key_env": "WRITER_KEY"})
        plan = run(file, "--plan_only")
        assert not server.requested and not (tmp_path / "out").exists()
        said = run(file, WRITER_KEY=KEY)
        asked = server.requested.total()
        again = run(file)
        assert server.requested.total() == asked and server.keys == {f"Bearer {KEY}"}
        assert server.most_at_once <= 4
    assert f"requests: {BIRDS} for {BIRDS} prompts" in plan and "USD" in plan
    assert said.startswith(plan.rstrip())
    # 12 first attempts, and second ones about 3 and 4: 14 answers of 100 + 10 tokens.
    assert "records:  10 with 20 pairs, of 12 subjects" in said
    assert "left out: 2: 1 × question 2 has no answer; 1 × the model refuses; all in " in said
    assert f"licence:  {LICENCE}: 10" in said
    assert "14 answers of writer-2026, 1,400 tokens sent, 140 answered, 0.0042 USD" in said
    assert re.search(r"answers: \d+ of about 12, ", said)
    _is_the_same_without_asking(said, again)
    _names_what_preparing_needs(said, tmp_path)
    found = records(tmp_path)
    assert [row["id"] for row in found] == [f"b{n}" for n in range(BIRDS) if n not in (4, 5)]
    assert {(row["licence"], row["provenance"]["model"], row["provenance"]["date"]) for row in found} == {
        (LICENCE, "writer-2026", "2026-11-21")
    }
    assert all(len(parse_record(json.dumps(row), "f", 1).turns) == 4 for row in found)


def _is_the_same_without_asking(said: str, again: str) -> None:
    """The end of both is one, and the second had no plan to tell."""
    assert again.strip() == said[said.index("records:  ") :].strip()


def _names_what_preparing_needs(said: str, folder: Path) -> None:
    chosen = prepared_set(said)
    assert len(list(Path(chosen.inputs[0].files).glob("part-*.jsonl"))) == 1
    assert chosen.images == str(folder / "images")


def test_kill_9_in_mid_run_loses_no_answer_and_pays_for_none_twice(tmp_path: Path) -> None:
    released, quick = threading.Event(), 7
    caption_file(tmp_path / "birds.jsonl", BIRDS)

    def behave(user: str, count: int) -> Reply:
        number = int(user.split()[2])
        if number >= quick:
            released.wait(60)
        return Reply(f"{pairs(1, f'bird {number}')} {KEY}")

    with serving(behave) as server:
        file = experiment(tmp_path, server.url, endpoint={"api_key_env": "WRITER_KEY"})
        job = start(file, WRITER_KEY=KEY)
        answers = tmp_path / "out" / "answers"
        wait_until(
            lambda: job.poll() is not None or (complete_lines(answers), server.requested.total()) == (quick, quick + 4)
        )
        assert job.poll() is None, printed(file)
        kill(job)
        answered = set(server.answered)
        assert len(answered) == quick and not list((tmp_path / "out").glob("records-*"))
        released.set()
        server.requested.clear()
        said = run(file, WRITER_KEY=KEY)
        assert set(server.requested) == {f"About: bird {number}" for number in range(quick, BIRDS)}
        assert set(server.requested.values()) == {1}
    assert f"requests: {BIRDS - quick} for {BIRDS} prompts; {quick} are answered before" in said
    assert [row["id"] for row in records(tmp_path)] == [f"b{n}" for n in range(BIRDS)]
    assert not list((tmp_path / "out").glob(".*.partial"))
    assert KEY not in contents(tmp_path)


def _model(user: str, count: int) -> Reply:
    if "topics of Cells" in user:
        return Reply('```json\n["cells"]\n```')
    if "topics of Fungi" in user:
        return Reply("1. yeasts\n2. cells")
    return Reply(pairs(1, user.splitlines()[0]))


def test_fields_become_topics_pages_and_records_step_by_step(tmp_path: Path) -> None:
    (tmp_path / "fields.txt").write_text("Biology: Cells, Fungi\n")
    with serving(_model) as server, serving_wiki() as wiki:
        patience = {"tries": 3, "first_wait_s": 0.01}
        asked = {
            "api_url": f"{wiki.url}/w/api.php",
            "user_agent": "tests (me@here)",
            "pause_s": 0,
            "patience": patience,
        }
        source = {"type": "pages", "fields": str(tmp_path / "fields.txt"), "wiki": asked}
        file = experiment(tmp_path, server.url, source, topics=2)
        wiki.failures = 2
        topics = run(file, "--source.until", "topics")
        assert server.requested.total() == 2 and not wiki.requested
        pages = run(file, "--source.until", "pages")
        assert server.requested.total() == 2 and wiki.requested.total() > 2
        plan = run(file, "--plan_only")
        fetched = wiki.requested.total()
        said = run(file)
        assert wiki.requested.total() == fetched
    assert "requests: 2 for 2 prompts" in topics and "then:     pages about them" in topics
    assert "2, up to 10 pages each" in pages and "requests" not in pages
    assert "requests: 3 for 3 prompts" in plan and "records:  " not in plan
    assert "records:  3 with 3 pairs, of 4 subjects" in said
    assert "1 × the section has fewer than 50 words" in said
    assert "licence:  text CC BY-SA 4.0, picture CC0: 2" in said
    _every_page_record_is_whole(tmp_path, said)
    assert any(LONG in user for user in server.requested)


def _every_page_record_is_whole(folder: Path, said: str) -> None:
    images, found = Path(prepared_set(said).images), records(folder)
    assert [(row["provenance"]["page"], row["provenance"]["topic"]) for row in found] == [
        ("Cell", "cells"), ("Cell", "cells"), ("Yeast", "yeasts"),
    ]  # fmt: skip
    assert all((images / row["image"]).is_file() for row in found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"endpoint": {"api_key_env": "NO_SUCH_KEY"}}, "endpoint.api_key_env: environment variable NO_SUCH_KEY is not set"),
        ({"endpoint": {"base_url": "http://127.0.0.1:1/v1"}}, "endpoint.base_url: nobody answers at http://127.0.0.1:1/v1"),
        ({"licences": {"Birds": ""}}, "licences: none is given for source 'Birds'"),
        ({"templates": "gone.yaml"}, "gone.yaml: there is no such table"),
        ({"prices": "gone.yaml"}, "gone.yaml: there is no such table"),
        ({"source": {"type": "captions", "files": ["gone.jsonl"], "images": "."}}, "source.files.0: gone.jsonl holds no .jsonl file"),
        ({"asking": {"processes": 9}}, "asking.processes: 9 cannot share 4 requests"),
        ({"endpoint": {"base_url": f"http://user:{KEY}@host/v1"}}, "endpoint.base_url: holds more than scheme, host and path"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line_before_anything_is_asked(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    caption_file(tmp_path / "birds.jsonl", 2)
    with serving(lambda user, count: Reply(pairs(1))) as server:
        assert message in refusal(experiment(tmp_path, server.url, **changes))
        assert not server.requested
    assert not list((tmp_path / "out").glob("records-*"))


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            Reply(f"the key {KEY} is not known", status=401),
            "HTTP 401: the key *** is not known; put it right and run again",
        ),
        (Reply("down", status=500), "2 of 2 prompts have no answer"),
    ],
    ids=["wrong key", "always down"],
)
def test_an_endpoint_that_is_of_no_use_ends_the_run_in_one_line(tmp_path: Path, reply: Reply, message: str) -> None:
    caption_file(tmp_path / "birds.jsonl", 2)
    with serving(lambda user, count: reply) as server:
        file = experiment(tmp_path, server.url, endpoint={"api_key_env": "WRITER_KEY"})
        assert message in refusal(file, WRITER_KEY=KEY)
    assert not list((tmp_path / "out").glob("records-*"))
    assert KEY not in contents(tmp_path)


def test_two_runs_cannot_write_the_same_output(tmp_path: Path) -> None:
    released = threading.Event()

    def behave(user: str, count: int) -> Reply:
        released.wait(60)
        return Reply(pairs(1))

    caption_file(tmp_path / "birds.jsonl", 2)
    other = tmp_path / "other"
    other.mkdir()
    with serving(behave) as server:
        first = start(experiment(tmp_path, server.url))
        wait_until(lambda: server.requested.total() == 2 or first.poll() is not None)
        source = {"type": "captions", "files": [str(tmp_path / "birds.jsonl")], "images": "."}
        second = experiment(other, server.url, source, output=str(tmp_path / "out"))
        assert f"{tmp_path / 'out'}: is being prepared by another process" in refusal(second)
        released.set()
        assert first.wait(120) == 0, printed(tmp_path / "experiment.yaml")
    assert len(records(tmp_path)) == 2
