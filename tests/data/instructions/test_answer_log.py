"""What was answered is found again; what was half written is not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from opabinia.data.instructions.answer_log import AnswerWriter, only_run, read_answers
from opabinia.data.instructions.client import Answer


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def answer(number: int) -> Answer:
    return Answer(f"line one\nline \u2028 two “{number}”", "stop", "m", "h", number, None)


def write(folder: Path, *numbers: int, name: str = "a") -> Path:
    before = set(folder.iterdir())
    writer = AnswerWriter(folder, name)
    for number in numbers:
        writer.add(key(number), answer(number))
    writer.close()
    (file,) = set(folder.iterdir()) - before
    return file


def test_answers_are_found_by_the_requests_key(tmp_path: Path) -> None:
    write(tmp_path, *range(0, 100))
    write(tmp_path, *range(100, 150), name="b")
    index = read_answers(tmp_path)
    assert len(index) == 150
    assert [index.find(key(number)) for number in range(150)] == [answer(number) for number in range(150)]
    assert index.find(key(150)) is None
    assert read_answers(tmp_path, "b").find(key(0)) is None


def test_keys_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    alike = [key(0)[:16] + key(number)[16:] for number in range(3)]
    writer = AnswerWriter(tmp_path, "a")
    for number, one in enumerate(alike):
        writer.add(one, answer(number))
    writer.close()
    index = read_answers(tmp_path)
    assert [index.find(one) for one in alike] == [answer(number) for number in range(3)]
    assert index.find(key(0)[:16] + key(9)[16:]) is None


def test_every_cut_leaves_exactly_the_complete_lines(tmp_path: Path) -> None:
    whole = write(tmp_path, 1, 2, 3).read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    (file,) = tmp_path.iterdir()
    for size in range(0, len(whole) + 1):
        file.write_bytes(whole[:size])
        index = read_answers(tmp_path)
        complete = sum(end <= size for end in ends)
        found = [index.find(key(number)) for number in (1, 2, 3)]
        assert found == [answer(number) if number <= complete else None for number in (1, 2, 3)]


def test_lines_that_are_no_answers_are_passed_over(tmp_path: Path) -> None:
    file = write(tmp_path, 1)
    file.write_bytes(b'nonsense\n{"key": 5}\n[]\n\xff\xfe\n{"key": "zz"}\n' + file.read_bytes())
    index = read_answers(tmp_path)
    assert (len(index), index.find(key(1))) == (1, answer(1))


def test_no_answer_makes_no_file(tmp_path: Path) -> None:
    AnswerWriter(tmp_path, "a").close()
    assert list(tmp_path.iterdir()) == []
    assert read_answers(tmp_path).find(key(0)) is None


def test_after_a_line_that_could_not_be_written_whole_none_follows_it(tmp_path: Path) -> None:
    writer = AnswerWriter(tmp_path, "a")
    # The system lets no file grow beyond the limit: a full disk, for this process.
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))
        with pytest.raises(OSError, match="too large"):
            for number in range(10):
                writer.add(key(number), answer(number))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    with pytest.raises(OSError, match="earlier line"):
        writer.add(key(99), answer(99))
    writer.close()
    index = read_answers(tmp_path)
    assert len(index) == 1
    assert index.find(key(0)) == answer(0)


def test_two_runs_cannot_share_a_log(tmp_path: Path) -> None:
    with (
        only_run(tmp_path),
        pytest.raises(ValueError, match="another run writes its answers there"),
        only_run(tmp_path),
    ):
        raise AssertionError("never reached")
    with only_run(tmp_path):
        pass


def test_a_run_waits_for_tasks_that_a_killed_one_left_behind(tmp_path: Path) -> None:
    import threading

    writer = AnswerWriter(tmp_path, "orphan")
    writer.add(key(0), answer(0))
    late = threading.Timer(0.3, lambda: (writer.add(key(1), answer(1)), writer.close()))
    late.start()
    with only_run(tmp_path):
        assert read_answers(tmp_path).find(key(1)) == answer(1)
    late.join()
