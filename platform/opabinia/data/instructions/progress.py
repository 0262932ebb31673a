"""How far asking is, told from the answer log as it grows."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from opabinia.data.instructions.answer_log import SUFFIX

_CHUNK_BYTES = 2**20


class GrowingLog:
    """Counts the answers that the log in a folder gains, whichever process or node writes them."""

    def __init__(self, answers: Path) -> None:
        self._answers = answers
        self._read = {file: file.stat().st_size for file in self._files()}
        self.gained = 0

    def update(self) -> None:
        """Read on where the last update ended."""
        for file in self._files():
            with file.open("rb") as handle:
                handle.seek(self._read.get(file, 0))
                while chunk := handle.read(_CHUNK_BYTES):
                    self.gained += chunk.count(b"\n")
                self._read[file] = handle.tell()

    def _files(self) -> list[Path]:
        return sorted(self._answers.glob(f"*{SUFFIX}"))


@contextmanager
def told_progress(answers: Path, expected: int, every_s: float) -> Generator[None]:
    """Print a line on the answers every so many seconds while the block runs. expected: answers that the block will bring, about."""
    log, ended, started = GrowingLog(answers), threading.Event(), time.monotonic()

    def tell() -> None:
        while not ended.wait(every_s):
            log.update()
            print(progress_line(log.gained, expected, time.monotonic() - started), flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


def progress_line(gained: int, expected: int, seconds: float) -> str:
    """What there is to say after so many seconds."""
    line = f"answers: {gained:,} of about {expected:,}, {gained / seconds:.1f} a second"
    if not gained or gained >= expected:
        return line
    return f"{line}, {timedelta(seconds=round((expected - gained) * seconds / gained))} left"
