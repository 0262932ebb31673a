"""Say what computing the encoders' features once will take, then compute those that are not stored yet."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

from opabinia.cluster.joining import join_ray
from opabinia.command_line import load_settings, plain_errors
from opabinia.experiment import Experiment

_DEFAULT = Path(__file__).parent / "experiments" / "quickstart.yaml"


class CacheSettings(Experiment):
    """An experiment, of which the features of all encoders of its sweep and of its single run are computed."""

    plan_only: bool = False
    """Stop after saying what it would take."""


def main(argv: Sequence[str]) -> None:
    settings = load_settings(CacheSettings, argv, description=__doc__ or "", default_file=_DEFAULT)
    with plain_errors():
        _cache(settings)


def _cache(settings: CacheSettings) -> None:
    from opabinia.preparation import absolute_paths, claim_output, compute_features, features_folder, settle_inputs

    if not settings.cache.enabled:
        raise ValueError("cache.enabled: false, so no run would read the features; set it to true")
    experiment, encoders = absolute_paths(settings), _encoders(settings)
    claim_output(experiment)

    from opabinia.features.plan import plan_features, render_plan

    join_ray()
    _, pictures = settle_inputs(experiment)
    folder, cache = features_folder(experiment), experiment.cache
    plan = plan_features(
        folder, pictures, encoders, precision=cache.precision, batch=cache.batch, decoding=experiment.data.decoding
    )
    print(f"\n{render_plan(plan, _query_side(experiment))}\n", flush=True)
    if settings.plan_only:
        return
    report = compute_features(experiment, encoders, pictures)
    for encoder, error in report.errors.items():
        done = "was there" if encoder in report.skipped else f"{report.seconds[encoder]:.0f} s of encoding"
        print(f"{encoder}: {done}, relative error {error:.2g}")
    print(f"features: {report.rows:,} pictures, {report.bytes / 1e6:.1f} MB written to {folder}", flush=True)


def _encoders(experiment: Experiment) -> tuple[str, ...]:
    """Every encoder that any run reads and none trains. Raises ValueError for an unknown one, or when there is none."""
    from opabinia.preparation import check_encoders, check_sweep, frozen_anywhere

    check_encoders(experiment.encoders, "encoders")
    swept = check_sweep(experiment) if experiment.sweep else ()
    if not (experiment.encoders or swept):
        raise ValueError("encoders: empty, and there is no sweep; name at least one vision encoder")
    frozen = frozen_anywhere(experiment, tuple(dict.fromkeys([*experiment.encoders, *swept])))
    if not frozen:
        raise ValueError("stages: every encoder learns in one of them, so that no features can be stored; freeze one")
    return frozen


def _query_side(experiment: Experiment) -> int:
    """Side of the largest grid of queries that any of the experiment's connectors has."""
    connectors = [experiment.connector, *(experiment.sweep.connectors if experiment.sweep else ())]
    return math.isqrt(max(connector.queries for connector in connectors))


if __name__ == "__main__":
    main(sys.argv[1:])
