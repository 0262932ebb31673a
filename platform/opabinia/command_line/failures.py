"""One line for a mistake of the user's, a traceback for a mistake of ours."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from traceback import extract_tb
from typing import Any

from pydantic import ValidationError

from opabinia.command_line.mistakes import one_line

_OUR_FOLDERS = {"opabinia", "connectors", "jobs"}
_FRAME = re.compile(r'^ *File "(?P<file>[^"]+)", line \d+.*\n(?P<source>(?! *File ").*)', re.MULTILINE)
_LAST_LINE = re.compile(r"^(?:[\w.]+\.)?ValueError: (?P<message>.+)$", re.MULTILINE)


@contextmanager
def plain_errors() -> Generator[None]:
    """Print a mistake of the user's as lines on stderr and exit with status 2, without a traceback.

    A mistake of the user's is a ValueError that a `raise` in our own code made, here or in a Ray worker, however often
    Ray has wrapped it. A library's ValueError and every other exception pass through with their tracebacks. Works as a
    decorator too: `@plain_errors()`.
    """
    try:
        yield
    except Exception as error:
        message = user_message(error)
        if message is None:
            raise
        print(message, file=sys.stderr)
        raise SystemExit(2) from None


def user_message(error: BaseException) -> str | None:
    """Return what to tell the user about an error, or None where it is not the user's mistake."""
    if not _is_from_ray(error):
        return _message(error) if _is_raised_by_us(error) else None
    # Ray brings errors from workers without their tracebacks, but with the text of these in its own message.
    last = _last_value_error(str(error))
    if last is not None and not last[1]:
        return None
    whole = next((message for found in _inside(error) if (message := _message(found)) is not None), None)
    return whole or (last[0] if last else None)


def _message(error: BaseException) -> str | None:
    if isinstance(error, ValidationError):
        return "\n".join(f"{error.title}: {one_line(detail)}" for detail in error.errors(include_url=False))
    return str(error) if isinstance(error, ValueError) else None


def _inside(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors that Ray wrapped, at any depth."""
    inner: Any = error
    found: list[object] = [getattr(inner, name, None) for name in ("cause", "controller_failure", "__cause__")]
    found += (getattr(inner, "worker_failures", None) or {}).values()
    for wrapped in found:
        if isinstance(wrapped, BaseException):
            if _is_from_ray(wrapped):
                yield from _inside(wrapped)
            else:
                yield wrapped


def _is_from_ray(error: BaseException) -> bool:
    """Tell whether Ray raised this: its own classes, and the ones that it makes to look like the error they wrap."""
    return any(base.__module__.split(".")[0] == "ray" for base in type(error).__mro__)


def _is_raised_by_us(error: BaseException) -> bool:
    """Tell our mistakes about the user's from a library's, by the statement that raised the error."""
    frames = extract_tb(error.__traceback__)
    return isinstance(error, ValidationError) or not frames or _is_our_raise(frames[-1].filename, frames[-1].line or "")


def _last_value_error(text: str) -> tuple[str, bool] | None:
    """Find the last ValueError in a traceback's text: its message, and whether our own code raised it."""
    match = next(reversed(list(_LAST_LINE.finditer(text))), None)
    frames = list(_FRAME.finditer(text, 0, match.start())) if match else []
    if match is None or not frames:
        return None
    return match["message"], _is_our_raise(frames[-1]["file"], frames[-1]["source"])


def _is_our_raise(file: str, source: str) -> bool:
    """Tell a `raise` of ours from an error inside a library, also one in compiled code, which leaves no frame."""
    # A library may be installed below a folder that has one of our names.
    inside = re.split(r"[/\\](?:site|dist)-packages[/\\]", file)[-1]
    is_ours = not _OUR_FOLDERS.isdisjoint(re.split(r"[/\\]", inside)[:-1])
    return is_ours and (not source.strip() or source.lstrip().startswith("raise"))
