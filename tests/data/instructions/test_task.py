"""What a Ray task does with its slice of the prompts, without Ray."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from opabinia.data.instructions.answer_log import read_answers
from opabinia.data.instructions.pending import Slice, read_slice, write_pending
from opabinia.data.instructions.requests import Form, Prompt
from opabinia.data.instructions.settling import Rules
from opabinia.data.instructions.task import Failure, ask_slice
from tests.data.instructions.endpoint import Reply, pairs, serving
from tests.data.instructions.specimens import settings

PROMPTS = [Prompt("", f"About: bird {number}", Form()) for number in range(10)]


def ask(url: str, tmp_path: Path, answers: Path, **changes: Any) -> list[Failure]:
    """Ask all prompts in one slice, which is numbered alike each time, as when Ray repeats a task."""
    given = settings(url, tmp_path, **changes)
    rules = Rules(given.endpoint, given.filters, given.asking.attempts)
    (part,), count = write_pending(
        PROMPTS, rules, read_answers(tmp_path / "none"), tmp_path / "run.pending.jsonl", given.asking
    )
    assert count == len(PROMPTS)
    return asyncio.run(ask_slice(list(read_slice(part)), part, given, rules, answers))


@pytest.mark.parametrize(("at_once", "processes", "most"), [(1, 1, 1), (3, 1, 3), (7, 2, 3)])
def test_a_task_keeps_to_its_share_of_the_requests(tmp_path: Path, at_once: int, processes: int, most: int) -> None:
    with serving(lambda user, count: Reply(pairs(1), stall_s=0.02)) as server:
        given = settings(server.url, tmp_path, asking={"at_once": at_once, "processes": processes})
        rules = Rules(given.endpoint, given.filters, 1)
        slices, _ = write_pending(PROMPTS, rules, read_answers(tmp_path), tmp_path / "p.pending.jsonl", given.asking)
        for part in slices:
            assert asyncio.run(ask_slice(list(read_slice(part)), part, given, rules, tmp_path)) == []
    assert len(slices) == processes
    assert server.most_at_once == most
    assert set(server.requested.values()) == {1} and len(server.requested) == len(PROMPTS)


def test_a_task_that_ray_repeats_asks_only_what_was_not_answered(tmp_path: Path) -> None:
    stuck = {"About: bird 7"}
    with serving(lambda user, count: Reply("down", status=500) if user in stuck else Reply(pairs(1))) as server:
        assert [failure.kind for failure in ask(server.url, tmp_path, tmp_path)] == ["unanswered"]
        stuck.clear()
        server.requested.clear()
        assert ask(server.url, tmp_path, tmp_path) == []
    assert server.requested == {"About: bird 7": 1}


def test_an_answer_that_cannot_be_kept_stops_the_asking(tmp_path: Path) -> None:
    with serving(lambda user, count: Reply(pairs(1))) as server:
        failures = ask(server.url, tmp_path, tmp_path / "no such folder", asking={"at_once": 1})
    (failure,) = failures
    assert failure.kind == "unusable"
    assert "an answer cannot be kept" in failure.reason and "no such folder" in failure.reason
    assert server.requested.total() == 1


def test_a_node_without_the_key_says_so_and_asks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WRITER_KEY", raising=False)
    with serving(lambda user, count: Reply(pairs(1))) as server:
        (failure,) = ask(server.url, tmp_path, tmp_path, endpoint={"api_key_env": "WRITER_KEY"})
    assert failure.kind == "unusable" and "WRITER_KEY is not set" in failure.reason
    assert not server.requested


@pytest.mark.parametrize("per_task", [1, 3, 10, 500])
def test_slices_hold_every_prompt_once_and_in_order(tmp_path: Path, per_task: int) -> None:
    given = settings("http://127.0.0.1:1/v1", tmp_path, asking={"requests_per_task": per_task})
    rules = Rules(given.endpoint, given.filters, 1)
    slices, _ = write_pending(
        [*PROMPTS, *PROMPTS], rules, read_answers(tmp_path), tmp_path / "p.pending.jsonl", given.asking
    )
    assert [item.prompt for part in slices for item in read_slice(part)] == PROMPTS
    assert [part.number for part in slices] == list(range(-(-len(PROMPTS) // per_task)))
    assert isinstance(slices[0], Slice)
