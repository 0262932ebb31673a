"""Steps of preparing data: each is run once for what goes into it, and found again by the hash of that."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opabinia.storage.atomic import whole_folder
from opabinia.storage.failures import clear_local_errors

RECIPE_NAME = "step.json"

_DIGITS = 16


def run_step(root: Path, name: str, recipe: Mapping[str, Any], make: Callable[[Path], object]) -> Path:
    """The folder `root/name-<hash of recipe>`, which `make` fills unless it is there already.

    recipe: everything that decides what the step writes, as JSON: its settings, a version of its code, and the names of the folders
    or the versions of the files it reads. The folder appears whole or not at all, so its being there means that it is done. It
    holds the recipe as step.json. Raises ValueError where there is no room or right to write it.
    """
    folder = step_folder(root, name, recipe)
    with clear_local_errors(folder, "write"):
        if not folder.is_dir():
            with whole_folder(folder) as draft:
                make(draft)
                (draft / RECIPE_NAME).write_text(_text(recipe) + "\n")
    return folder


def step_folder(root: Path, name: str, recipe: Mapping[str, Any]) -> Path:
    """Where `run_step` writes, or has written, what comes of the recipe."""
    return root / f"{name}-{hashlib.sha256(_text(recipe).encode()).hexdigest()[:_DIGITS]}"


@contextmanager
def sole_writer(root: Path) -> Generator[None]:
    """Hold `root` for the steps of one process, and clear away what killed ones have left unfinished.

    Raises ValueError where another process holds it.
    """
    with clear_local_errors(root, "write"):
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / ".lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{root}: is being prepared by another process; wait until it is done") from None
        for leftover in root.glob(".*.partial"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _text(recipe: Mapping[str, Any]) -> str:
    return json.dumps(recipe, sort_keys=True, indent=1)
