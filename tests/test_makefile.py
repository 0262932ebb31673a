"""What `make` says before anything is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def make(*words: str, environment: Path) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", f"VENV={environment}", *words]
    # The tests may themselves run under make, which passes its flags on.
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def old_python(tmp_path: Path) -> Path:
    """A Python that believes to be 3.10."""
    script = tmp_path / "python3.10"
    pretend = "import sys; sys.version_info = (3, 10, 4); exec(sys.argv[1])"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{pretend}" "$2"\n')
    script.chmod(0o755)
    return script


def test_a_too_old_python_is_one_line_that_says_how_to_choose_another(tmp_path: Path, old_python: Path) -> None:
    done = make("sweep", f"PYTHON={old_python}", environment=tmp_path / "venv")
    first, *rest = done.stderr.splitlines()
    assert first == "Python 3.10 is too old; 3.11 or newer is needed: PYTHON=/path/to/python3.11 make sweep"
    assert all(line.startswith("make: ***") for line in rest)
    assert done.returncode != 0
    assert not (tmp_path / "venv").exists()


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = make("setup", "PYTHON=python3.99", environment=tmp_path / "venv")
    assert done.stdout.startswith("python3.99 is not installed; Python 3.11 or newer is needed")
    assert done.returncode != 0


def test_stopping_before_anything_is_installed_is_no_error(tmp_path: Path) -> None:
    done = make("stop", environment=tmp_path / "venv")
    assert (done.returncode, done.stdout) == (0, "nothing to stop\n")


def test_make_alone_lists_the_commands(tmp_path: Path) -> None:
    done = make(environment=tmp_path / "venv")
    for command in ("make sweep", "make ui", "make serve", "make stop", "make test", "make check", "make setup"):
        assert command in done.stdout
    assert done.returncode == 0
