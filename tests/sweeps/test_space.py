"""A sweep's trials: every encoder set with every connector and seed, each once, always in the same order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.settings.mlp import MlpSettings
from connectors.settings.sva import SvaSettings
from opabinia.sweeps.space import SweepConfig, trials

POOL = ("burgess/caption-vit", "burgess/mim-vit", "burgess/dense-convnext")


def names(config: SweepConfig) -> list[str]:
    return [trial.name for trial in trials(config)]


def test_all_subsets_of_three_encoders_with_two_connectors_are_fourteen_trials() -> None:
    assert names(SweepConfig(pool=POOL, connectors=(MlpSettings(), SvaSettings()))) == [
        f"{encoders}.{connector}.s0"
        for encoders in (
            "caption-vit",
            "mim-vit",
            "dense-convnext",
            "caption-vit+mim-vit",
            "caption-vit+dense-convnext",
            "mim-vit+dense-convnext",
            "caption-vit+mim-vit+dense-convnext",
        )
        for connector in ("mlp2x_gelu", "sva")
    ]


def test_the_same_set_in_another_order_is_one_trial_in_the_order_given_first() -> None:
    config = SweepConfig(encoder_sets=(("b", "a"), ("a", "b"), ("a", "a", "b")), connectors=(SvaSettings(),))
    assert [trial.encoders for trial in trials(config)] == [("b", "a")]


def test_connectors_of_one_type_are_named_by_what_differs() -> None:
    connectors = (SvaSettings(), SvaSettings(depth=3), MlpSettings())
    assert names(SweepConfig(encoder_sets=(("a",),), connectors=connectors, seeds=(7,))) == [
        "a.sva,depth=1.s7",
        "a.sva,depth=3.s7",
        "a.mlp2x_gelu.s7",
    ]


def test_encoders_of_one_name_keep_their_publisher() -> None:
    config = SweepConfig(encoder_sets=(("x/clip", "y/clip"), ("x/mae",)), connectors=(SvaSettings(),))
    assert names(config) == ["x.clip+y.clip.sva.s0", "mae.sva.s0"]


encoder_sets = st.lists(
    st.lists(st.sampled_from(["x/a", "y/a", "x/b", "c"]), min_size=1, max_size=4).map(tuple), min_size=1, max_size=5
).map(tuple)
connectors = st.lists(
    st.builds(SvaSettings, depth=st.integers(1, 3), queries=st.sampled_from([1, 4]))
    | st.builds(MlpSettings, type=st.sampled_from(["mlp1x_gelu", "mlp2x_gelu"])),
    min_size=1,
    max_size=4,
).map(tuple)
seeds = st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple)


@settings(deadline=None)
@given(encoder_sets, connectors, seeds)
def test_trials_and_their_names_are_unique_and_complete(
    encoder_sets: tuple[tuple[str, ...], ...], connectors: tuple[SvaSettings | MlpSettings, ...], seeds: tuple[int, ...]
) -> None:
    config = SweepConfig(encoder_sets=encoder_sets, connectors=connectors, seeds=seeds)
    listed = trials(config)
    assert len({trial.name for trial in listed}) == len(listed)
    assert len({(frozenset(trial.encoders), trial.connector, trial.seed) for trial in listed}) == len(listed)
    assert len(listed) == len(set(map(frozenset, encoder_sets))) * len(set(connectors)) * len(set(seeds))
    assert listed == trials(config)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "pool: all_subsets needs at least one encoder"),
        ({"encoder_sets": ()}, "encoder_sets: list at least one set"),
        ({"encoder_sets": (("a",), ())}, r"encoder_sets\.1: an empty set"),
        ({"pool": ("a",), "connectors": ()}, "at least 1 item"),
        ({"pool": ("a",), "seeds": ()}, "at least 1 item"),
    ],
)
def test_a_sweep_of_nothing_is_refused(settings: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        SweepConfig.model_validate({"connectors": (SvaSettings(),), **settings})


def test_repeats_are_the_experiments_seed_and_those_that_follow() -> None:
    config = SweepConfig(encoder_sets=(("a",),), connectors=(SvaSettings(),), repeats=3)
    assert [trial.seed for trial in trials(config, 7)] == [7, 8, 9]
    assert names(config) == ["a.sva.s0", "a.sva.s1", "a.sva.s2"]


def test_without_seeds_and_repeats_each_trial_is_run_once_with_the_experiments_seed() -> None:
    config = SweepConfig(encoder_sets=(("a",),), connectors=(SvaSettings(),))
    assert [trial.seed for trial in trials(config, 4)] == [4]


def test_seeds_that_are_listed_are_no_matter_of_the_experiments() -> None:
    config = SweepConfig(encoder_sets=(("a",),), connectors=(SvaSettings(),), seeds=(2,))
    assert [trial.seed for trial in trials(config, 9)] == [2]


def test_seeds_and_repeats_together_are_refused() -> None:
    with pytest.raises(ValidationError, match="repeats: 3, but seeds lists 2 already; leave one of the two out"):
        SweepConfig(pool=("a",), connectors=(SvaSettings(),), seeds=(0, 1), repeats=3)


def test_a_sweep_with_repeats_reads_as_it_was_written() -> None:
    config = SweepConfig(pool=("a",), connectors=(SvaSettings(),), repeats=3)
    assert SweepConfig.model_validate(config.model_dump(mode="json")) == config
