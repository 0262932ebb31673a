"""Settings that say again what others say are named, and no others."""

from __future__ import annotations

from connectors.settings.mlp import MlpSettings
from connectors.settings.sva import SvaSettings
from opabinia.sweeps.duplicates import duplicates
from opabinia.sweeps.space import SweepConfig, trials


def test_each_repeated_setting_is_named_with_the_first_of_its_kind() -> None:
    config = SweepConfig(
        encoder_sets=(("a", "b"), ("c",), ("b", "a")),
        connectors=(MlpSettings(), SvaSettings(), MlpSettings()),
        seeds=(5, 6, 5),
    )
    assert duplicates(config) == (
        "sweep.encoder_sets.2: b + a, the set of sweep.encoder_sets.0",
        "sweep.connectors.2: mlp2x_gelu with the settings of sweep.connectors.0",
        "sweep.seeds.2: the seed of sweep.seeds.0",
    )
    assert len(trials(config)) == 2 * 2 * 2


def test_an_encoder_that_the_pool_has_twice_is_named() -> None:
    config = SweepConfig(pool=("a", "b", "a"), connectors=(MlpSettings(),))
    assert duplicates(config) == ("sweep.pool.2: the encoder of sweep.pool.0",)


def test_where_all_differ_nothing_is_named() -> None:
    connectors = (MlpSettings(), MlpSettings(queries=64))
    assert duplicates(SweepConfig(pool=("a", "b"), connectors=connectors, repeats=2)) == ()
