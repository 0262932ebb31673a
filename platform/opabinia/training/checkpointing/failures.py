"""What went wrong in saving or loading, as one line."""

from __future__ import annotations

from torch.distributed.checkpoint.api import CheckpointException


def one_line(error: BaseException) -> str:
    """What the error says, without line breaks; its kind too, where it is none that was raised for people to read."""
    said = " ".join(str(error).split())
    return said if isinstance(error, ValueError) else f"{type(error).__name__}: {said}"


def first_failure(error: BaseException) -> str:
    """Of an error that torch.distributed.checkpoint collected from all workers, that of the first worker that failed."""
    if isinstance(error, CheckpointException) and error.failures:
        worker, (cause, _) = min(error.failures.items())
        return f"{one_line(cause)} (worker {worker})"
    if isinstance(error, RuntimeError):
        return f"another worker is gone or does not answer; look at its log ({one_line(error)})"
    return one_line(error)
