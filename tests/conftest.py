"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# How long an example takes says more about what else the machine does than about the law that is tried.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Jobs that tests start get a Ray of their own: one that runs on this machine, or is only remembered by it, must not be joined.
os.environ["RAY_ADDRESS"] = "local"
# Workers start in any folder and must find the package whether or not it is installed.
_PATHS = [str(ROOT / "platform"), str(ROOT)]
os.environ["PYTHONPATH"] = os.pathsep.join(
    dict.fromkeys([*_PATHS, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))])
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cluster: needs a running Ray; leave out with -m 'not cluster'")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "local_ray" in getattr(item, "fixturenames", ()):
            item.add_marker("cluster")


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """A Ray of two CPUs that lives as long as the test session."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    yield
    ray.shutdown()
