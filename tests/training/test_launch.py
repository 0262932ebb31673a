"""Starting a run: what the processes that start and watch workers must not cost."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["opabinia.training.launch", "opabinia.sweeps.sweep", "opabinia.features.build", "opabinia.preparation"]
)
def test_planning_imports_no_torch(module: str) -> None:
    """torch takes some 300 MB and two seconds in each of the dozen processes of a sweep."""
    check = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
