"""A plan: which trials can be trained and why others cannot, and what all of it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.settings.mlp import MlpSettings
from connectors.settings.sva import SvaSettings
from opabinia.features.config import CacheConfig
from opabinia.sweeps.planning.caching import EncoderPlan
from opabinia.sweeps.planning.machines import Machines
from opabinia.sweeps.planning.measured import Pace
from opabinia.sweeps.planning.plan import SweepPlan, makespan, plan_sweep
from opabinia.sweeps.planning.rates import RateTable, rate_table
from opabinia.sweeps.planning.report import clock, count_text, flop_text, render_plan
from opabinia.sweeps.planning.trainable import trainable
from opabinia.sweeps.planning.workload import Workloads
from opabinia.sweeps.possible import LeftOut
from opabinia.sweeps.space import SweepConfig
from opabinia.training.run import RunConfig
from tests.sweeps.planning.runs import run_of, seen
from tests.training.stages import stage

LAPTOP = Machines(({"Alive": True, "Resources": {"CPU": 4.0}, "Labels": {}},), is_cluster=False)
RATES = RateTable.model_validate(
    {
        "devices": {
            "CPU": {"tflops": 1e-3, "utilisation": 0.5, "dollars_per_hour": 2.0, "source": "a test", "dated": "today"}
        },
        "start_up_seconds": 10,
        "read_mb_per_second": 100,
    }
)
TOO_DEEP = SvaSettings(in_llm_count=9)


def planned(
    tmp_path: Path,
    runs: list[RunConfig],
    workloads: Workloads | None = None,
    rates: RateTable = RATES,
    left_out: tuple[LeftOut, ...] = (),
    **sweep: Any,
) -> SweepPlan:
    config = SweepConfig(pool=("a",), connectors=(MlpSettings(),), **sweep)
    return plan_sweep(
        "p", runs, workloads or seen(), LAPTOP, rates, config=config, output=tmp_path, features=tmp_path / "table.lance",
        left_out=left_out,
    )  # fmt: skip


def seeds(count: int, kind: str = "a", **settings: Any) -> list[RunConfig]:
    return [run_of(f"{kind}.s{seed}", seed=seed, **settings) for seed in range(count)]


def test_time_is_operations_over_what_the_device_reaches_and_the_start(tmp_path: Path) -> None:
    (one,) = planned(tmp_path, seeds(3)).configurations
    assert len(one.runs) == 3
    assert one.source == "table"
    assert one.seconds == pytest.approx(10 + one.arithmetic.flops / 0.5e9)


def test_money_is_hours_of_devices_at_their_price(tmp_path: Path) -> None:
    plan = planned(tmp_path, seeds(2))
    hours, encoding, seconds = plan.device_hours, plan.encoding_device_seconds, plan.configurations[0].seconds
    assert hours is not None and encoding is not None and seconds is not None
    assert hours == pytest.approx((2 * seconds + encoding) / 3600)
    assert plan.dollars == pytest.approx(2 * hours)


def test_two_workers_take_half_the_time_and_as_many_device_hours_but_for_the_start(tmp_path: Path) -> None:
    # Everything is stored already, so that nothing is encoded.
    one, two = (planned(tmp_path, [run_of(count=count)], seen(distinct=0)) for count in (1, 2))
    seconds, halved = one.configurations[0].seconds, two.configurations[0].seconds
    assert seconds is not None and halved is not None
    assert halved - 10 == pytest.approx((seconds - 10) / 2)
    assert one.device_hours == pytest.approx(seconds / 3600)
    assert two.device_hours == pytest.approx((seconds + 10) / 3600)


def test_trials_that_were_measured_set_the_pace_of_those_that_were_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, other = seeds(1, "known"), seeds(1, "other", stages=(stage(steps=20),))
    paces = {"known.s0": Pace(start_up=7, step=3)}

    def pace_of(_: Path, run: RunConfig) -> Pace | None:
        return paces.get(run.name)

    monkeypatch.setattr("opabinia.sweeps.planning.timing.measured_pace", pace_of)
    first, second = planned(tmp_path, [*known, *other]).configurations
    assert (first.source, second.source) == ("measured", "scaled")
    assert first.seconds == 7 + 3 * 10
    assert second.seconds == pytest.approx(7 + 3 * 20), "twice the operations at the same pace"


def test_without_a_rate_nothing_is_made_up(tmp_path: Path) -> None:
    plan = planned(tmp_path, seeds(1), rates=RATES.model_copy(update={"devices": {}}))
    assert (plan.device_hours, plan.dollars, plan.wall_seconds) == (None, None, None)
    assert "no line for CPU in the table of rates" in render_plan(plan)


def test_twice_the_steps_are_twice_the_operations(tmp_path: Path) -> None:
    short, long = (
        planned(tmp_path, seeds(1, stages=(stage(steps=steps),))).configurations[0].arithmetic for steps in (10, 20)
    )
    assert long.flops == pytest.approx(2 * short.flops)
    assert long.trained == short.trained


def test_what_learns_in_several_stages_is_counted_once(tmp_path: Path) -> None:
    stages = (stage(name="one"), stage(name="two", trains=("connector", "language_model")))
    (one,) = planned(tmp_path, seeds(1, stages=stages)).configurations
    first, second = one.arithmetic.stages
    assert first.trained < second.trained == one.arithmetic.trained


def test_an_encoder_that_learns_is_run_in_every_step(tmp_path: Path) -> None:
    frozen, learning = (
        planned(tmp_path, seeds(1, stages=(stage(trains=trains),)))
        for trains in (("connector",), ("connector", "encoders"))
    )
    of_frozen, of_learning = (plan.configurations[0].arithmetic for plan in (frozen, learning))
    shown = of_learning.stages[0].pictures
    encoders = sum(encoder.flops for encoder in learning.encoders)
    assert of_learning.flops - of_frozen.flops > 3 * shown * encoders
    assert of_learning.trained - of_frozen.trained == 694_656 + 837_392, "as the catalogue counts them"
    assert [encoder.pays for encoder in learning.encoders] == [False, False]


def test_where_an_encoder_learns_in_some_trials_the_others_read_its_features(tmp_path: Path) -> None:
    learns = run_of("a,unfrozen.s0", stages=(stage(trains=["connector", "encoders"], steps=7),))
    frozen = planned(tmp_path, [run_of()])
    both = planned(tmp_path, [run_of(), learns])
    assert [(e.learns, e.shown, e.bytes) for e in both.encoders] == [
        (e.learns, e.shown, e.bytes) for e in frozen.encoders
    ]
    assert all(encoder.bytes for encoder in both.encoders)


def test_without_the_table_frozen_encoders_are_run_forward_in_every_step(tmp_path: Path) -> None:
    cached, fresh = (planned(tmp_path, seeds(1, cached=cached)) for cached in (True, False))
    one, other = cached.configurations[0].arithmetic, fresh.configurations[0].arithmetic
    assert other.flops - one.flops == pytest.approx(one.pictures * sum(encoder.flops for encoder in fresh.encoders))
    assert fresh.encoding_device_seconds == 0


def test_scoring_counts_with_every_report(tmp_path: Path) -> None:
    one, two = (
        planned(tmp_path, seeds(1, stages=(stage(reports=reports),)), seen(questions=5)).configurations[0].arithmetic
        for reports in (1, 2)
    )
    assert two.scoring == pytest.approx(2 * one.scoring)


def test_packed_rows_hold_as_many_samples_as_fit(tmp_path: Path) -> None:
    packing = stage(batching={"type": "packed", "tokens": 260})
    (one,) = planned(tmp_path, seeds(1, stages=(packing,)), seen(text=10)).configurations
    # Ten tokens of text and sixteen of the picture.
    assert one.arithmetic.stages[0].samples == 10 * packing.batch * 10


def test_a_trial_whose_connector_does_not_fit_is_left_out_with_the_models_own_words(tmp_path: Path) -> None:
    plan = planned(tmp_path, [*seeds(2), *seeds(2, "deep", connector=TOO_DEEP)])
    assert [one.name for one in plan.configurations] == ["a"]
    assert [left.trial for left in plan.left_out] == ["deep.s0", "deep.s1"]
    assert "connector.in_llm_count: layer 4 is asked for, but the language model has 4" in plan.left_out[0].reason
    (line,) = [line for line in render_plan(plan).splitlines() if line.startswith("left out")]
    assert line.startswith("left out, 2 trials: connector.in_llm_count")
    assert line.endswith("(deep.s0, deep.s1)")


def test_a_stage_that_trains_what_a_trial_has_not_leaves_it_out() -> None:
    both = [
        *seeds(1, connector=SvaSettings(), stages=(stage(trains=("sva",)),)),
        *seeds(1, "mlp", stages=(stage(trains=("sva",)),)),
    ]
    kept, left_out = trainable(both)
    assert [run.name for run in kept] == ["a.s0"]
    assert left_out[0].reason.startswith("stages.0.trains.0: sva: this connector has no SVA layers")


def test_where_nothing_can_be_trained_the_first_reason_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"sweep: no trial can be trained; .*in_llm_count"):
        planned(tmp_path, seeds(1, connector=TOO_DEEP))
    with pytest.raises(ValueError, match=r"sweep: no trial can be trained; a\.s0: .*in_llm_count"):
        trainable(seeds(1, connector=TOO_DEEP))


def test_what_can_never_be_placed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"workers\.hardware: cuda needs a GPU"):
        planned(tmp_path, seeds(1, hardware="cuda"))


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=20), st.integers(1, 6))
def test_trials_side_by_side_take_no_less_than_their_share_and_the_longest(seconds: list[float], at_once: int) -> None:
    whole = makespan(seconds, at_once)
    share = max(sum(seconds) / at_once, max(seconds))
    assert share - 1e-6 <= whole <= sum(seconds) / at_once + max(seconds) + 1e-6
    assert makespan(seconds, 1) == pytest.approx(sum(seconds))


def encoder(shown: float, missing: int | None, encode_s: float | None, plan: SweepPlan) -> EncoderPlan:
    column = plan.encoders[0].column
    return EncoderPlan("burgess/caption-vit", 1.0, True, False, missing, column, shown, encode_s, read_s=0.001)


def test_caching_pays_where_encoding_once_and_reading_is_less_than_encoding_every_time(tmp_path: Path) -> None:
    plan = planned(tmp_path, seeds(1))
    assert encoder(1000, 100, 0.01, plan).pays is True, "1 + 1 s against 10 s"
    assert encoder(100, 100, 0.01, plan).pays is False, "1 + 0.1 s against 1 s"
    assert encoder(1000, 100, 0.0011, plan).pays is False, "0.11 + 1 s against 1.1 s"
    assert encoder(1000, None, 0.01, plan).pays is None
    assert encoder(1000, 100, None, plan).pays is None


def test_the_table_takes_what_the_pictures_that_it_lacks_take(tmp_path: Path) -> None:
    plan = planned(tmp_path, seeds(1), seen(distinct=7))
    assert [one.bytes for one in plan.encoders] == [7 * 64 * 128 * 2, 7 * 16 * 144 * 2], "float16 features"


def test_a_table_that_may_not_become_so_large_is_said_to_be_refused(tmp_path: Path) -> None:
    run = run_of()
    small, ample = (
        planned(tmp_path, [run.model_copy(update={"cache": CacheConfig(budget_gb=budget)})]) for budget in (1e-6, 1.0)
    )
    assert "REFUSED: cache.budget_gb: the features take" in render_plan(small)
    assert "REFUSED" not in render_plan(ample)


def test_the_page_says_the_trials_the_sums_and_that_they_are_estimates(tmp_path: Path) -> None:
    page = render_plan(planned(tmp_path, seeds(3), repeats=3, max_concurrent=2))
    assert page.splitlines()[0] == "plan of p: 3 trials = 1 configuration × 3 seeds; nothing was started"
    assert all("(estimate)" in line for line in page.splitlines() if line.startswith(("time ", "devices ", "money ")))
    assert "2 at once" in page
    assert max(map(len, page.splitlines())) < 160


def test_the_page_says_what_a_random_search_drew(tmp_path: Path) -> None:
    page = render_plan(planned(tmp_path, seeds(1), search={"type": "random", "samples": 3}))
    assert "search    random: 1 of 1 configurations, drawn with seed 0" in page
    assert "search" not in render_plan(planned(tmp_path, seeds(1)))


def test_repeated_settings_are_named(tmp_path: Path) -> None:
    page = render_plan(planned(tmp_path, seeds(1), seeds=(0, 0)))
    assert "sweep.seeds.1: the seed of sweep.seeds.0" in page


def test_our_table_of_rates_states_source_and_date_of_every_device() -> None:
    table = rate_table(None)
    assert {"CPU", "H100", "A100", "TPU-V4"} <= table.devices.keys()
    assert all(rate.source and rate.dated for rate in table.devices.values())


def test_float32_is_slower_where_the_device_is() -> None:
    devices = rate_table(None).devices
    assert devices["A100"].flops_per_second(float32=True) < devices["A100"].flops_per_second(float32=False) / 10
    assert devices["CPU"].flops_per_second(float32=True) == devices["CPU"].flops_per_second(float32=False)


def test_a_table_that_lacks_something_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("devices: {CPU: {tflops: 1}}")
    with pytest.raises(ValueError, match=r"mine\.yaml: devices\.CPU\.utilisation: Field required"):
        rate_table(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "1 s"),
        (59, "59 s"),
        (61, "1 min 01 s"),
        (3000, "50 min"),
        (12_000, "3 h 20 min"),
        (367_200, "4 d 6 h"),
    ],
)
def test_times_are_told_in_two_units(seconds: float, said: str) -> None:
    assert clock(seconds) == said


@given(st.floats(1, 1e14))
def test_numbers_keep_three_digits(number: float) -> None:
    for text, units in ((count_text(number), "KMBT"), (flop_text(number), "KMGTPEZ")):
        value, _, unit = text.partition(" ")
        factor = 1000 ** (units.index(unit) + 1) if unit else 1
        assert float(value) * factor == pytest.approx(number, rel=0.006)


def test_a_search_that_draws_its_trials_costs_between_the_cheapest_and_the_dearest(tmp_path: Path) -> None:
    """Five draws with two seeds each; a deeper connector costs more."""
    search = {"type": "tpe", "samples": 5}
    ends = [*seeds(2, "small"), *seeds(2, "large", connector=SvaSettings(depth=3))]
    plan = planned(tmp_path, ends, search=search, repeats=2)
    assert plan.trials == 10
    small, large = (one.seconds for one in plan.configurations)
    assert small is not None and large is not None and small < large
    assert plan.trial_seconds == [large] * 10
    assert plan.cheapest.trial_seconds == [small] * 10
    text = render_plan(plan)
    assert text.startswith("plan of p: at most 10 trials = 5 configurations × 2 seeds; nothing was started")
    assert "search    tpe: at most 5 configurations, drawn while they are trained" in text
    low, high = (one.wall_seconds for one in (plan.cheapest, plan))
    assert low is not None and high is not None
    assert f"{clock(low)} to {clock(high)}:" in text
