"""What runs lmms-eval itself needs an environment of its own, which the rest of the suite does not run in: `make test-eval`."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("lmms_eval") else ["test_model.py", "test_tasks.py"]
