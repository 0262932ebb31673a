"""Read, check, deduplicate, choose and shard training data; a step whose settings and inputs are as they were is not run again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from opabinia.burgess.config import WorldConfig
from opabinia.cluster.joining import join_ray
from opabinia.command_line import load_settings, plain_errors
from opabinia.data.prepare_config import PrepareConfig

_DEFAULT = Path(__file__).parent / "experiments" / "prepare_example.yaml"


class PrepareSettings(PrepareConfig):
    """What to prepare, and the toy world to prepare it from."""

    world: WorldConfig | None = None
    """The toy world to render before anything else, or null where the data exist already."""


def main(argv: Sequence[str]) -> None:
    settings = load_settings(PrepareSettings, argv, description=__doc__ or "", default_file=_DEFAULT)
    with plain_errors():
        _prepare(settings)


def _prepare(settings: PrepareSettings) -> None:
    from opabinia.burgess.world import write_world
    from opabinia.data.prepare import prepare, render

    if settings.world:
        print(f"world: {write_world(settings.world)}", flush=True)
    join_ray()
    print(f"\n{render(prepare(settings))}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
