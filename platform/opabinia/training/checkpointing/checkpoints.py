"""One run's checkpoints: the training thread copies, a thread in the background writes."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

from torch.distributed.checkpoint.state_dict_saver import save  # pyright: ignore[reportUnknownVariableType]

from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.checkpointing.failures import first_failure, one_line
from opabinia.training.checkpointing.group import Workers
from opabinia.training.checkpointing.layout import Checkpoint, check_address, checkpoint_at, latest_checkpoint
from opabinia.training.checkpointing.loading import Loaded, load_state
from opabinia.training.checkpointing.policy import Clock, Policy
from opabinia.training.checkpointing.removing import remove_incomplete, remove_superseded, remove_unless_complete
from opabinia.training.checkpointing.staging import StagedTensors
from opabinia.training.checkpointing.state import TrainingState, own_tensors, settings_json, shared_tensors, to_json
from opabinia.training.checkpointing.writer import Contents, ShardWriter

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pause:
    """What saving cost the training thread: seconds that the write before was waited for, seconds of copying, bytes copied."""

    waited_seconds: float
    copying_seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Written:
    """A checkpoint that became complete, and the seconds that the background needed for it."""

    checkpoint: Checkpoint
    seconds: float


class _Write(NamedTuple):
    """A write in the background."""

    thread: Thread
    result: Future[Written]


class Checkpoints:
    """The checkpoints of one run below `address`, which is that run's alone and which all workers reach.

    Every worker makes one, after torch.distributed is initialised, and calls the same methods after the same steps. At most one
    write is going on. What a killed writer left is removed when the first write begins.
    """

    def __init__(self, address: str | Path, config: CheckpointConfig, clock: Clock = time.monotonic) -> None:
        self._address = check_address(address)
        self._config = config
        self._workers = Workers()
        self._policy = Policy(config, self._workers, clock)
        self._write: _Write | None = None
        self._cleaned = False
        self.last_written: Written | None = None
        """Of those that this object wrote and that were waited for."""

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        """Waits for the write that is going on; its error must not hide the one that ended the block."""
        try:
            self.wait()
        except ValueError as lost:
            if kind is None:
                raise
            _LOG.warning("%s", lost)

    def latest(self) -> Checkpoint | None:
        """The complete checkpoint of the highest step, the same on all workers. Raises ValueError when that cannot be told."""
        address = self._workers.first(lambda: _address_of(latest_checkpoint(self._address)))
        return None if address is None else checkpoint_at(address)

    def load(self, checkpoint: Checkpoint, state: TrainingState) -> Loaded:
        """Like `loading.load_state`, after the write that is going on. Raises ValueError."""
        self.wait()
        return load_state(checkpoint.address, state, self._workers)

    def is_due(self, step: int, *, last: bool = False, asked: bool = False) -> bool:
        """Whether to save after `step`: see `Policy.is_due`."""
        return self._policy.is_due(step, last=last, asked=asked)

    def save(self, state: TrainingState, step: int, facts: Mapping[str, Any]) -> Pause:
        """Copy `state` and begin to write it; `facts` (the first worker's count) is what else the run needs to go on: JSON.

        Waits for the write before, whose failure is raised here, as a ValueError of one line, instead of saving. Raises
        ValueError also when something of the state or the facts cannot be saved.
        """
        started = time.perf_counter()
        self.wait()
        waited = time.perf_counter()
        # A copy, for the run goes on changing them.
        facts = json.loads(to_json(facts, "facts"))
        contents = Contents(step, self._config.keeps(step), settings_json(state), facts, dict(state.frozen))
        staged = StagedTensors(shared_tensors(state), own_tensors(state, self._workers.rank), self._workers)
        pause = Pause(waited - started, time.perf_counter() - waited, staged.bytes)
        self._begin(staged, contents)
        self._policy.note_saved(step)
        return pause

    def wait(self) -> Written | None:
        """Wait for the write that is going on, if any. Raises ValueError, once and on all workers, when it failed."""
        write, self._write = self._write, None
        if write is not None:
            # Not only for the result: a thread that is still freeing tensors when the process ends aborts it.
            write.thread.join()
            self.last_written = write.result.result()
        return self.last_written

    def _begin(self, staged: StagedTensors, contents: Contents) -> None:
        writer = ShardWriter(self._address, contents, self._workers.count)
        result: Future[Written] = Future()
        # A daemon: a process that ends for another reason must not stay for a write that its peers no longer answer.
        thread = Thread(target=self._run, args=(result, writer, staged), name="checkpoint", daemon=True)
        self._write = _Write(thread, result)
        thread.start()

    def _run(self, result: Future[Written], writer: ShardWriter, staged: StagedTensors) -> None:
        try:
            result.set_result(self._write_and_tidy(writer, staged))
        # Also what is no Exception: torch's CheckpointException, with what a worker met.
        except BaseException as error:
            self._on_first(lambda: remove_unless_complete(writer.folder) if writer.folder else None)
            # Without its cause, whose traceback would hold the copies.
            result.set_exception(
                ValueError(f"the checkpoint of step {writer.step} was not written: {first_failure(error)}")
            )

    def _write_and_tidy(self, writer: ShardWriter, staged: StagedTensors) -> Written:
        started = time.perf_counter()
        if not self._cleaned:
            self._cleaned = True
            self._on_first(lambda: remove_incomplete(self._address))
        self._save_together(writer, staged)
        written = Written(checkpoint_at(str(writer.folder)), time.perf_counter() - started)
        self._on_first(lambda: remove_superseded(self._address, written.checkpoint))
        return written

    def _save_together(self, writer: ShardWriter, staged: StagedTensors) -> None:
        group = self._workers.writing
        save({}, storage_writer=writer, planner=staged, process_group=group, no_dist=group is None)

    def _on_first(self, act: Callable[[], None]) -> None:
        """Tidying that fails costs space, not the checkpoint."""
        if not self._workers.is_first:
            return
        try:
            act()
        except (ValueError, OSError) as error:
            _LOG.warning("%s", one_line(error))


def _address_of(checkpoint: Checkpoint | None) -> str | None:
    return None if checkpoint is None else checkpoint.address
