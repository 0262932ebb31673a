"""Which rows are kept: the limit of each source, the shares of categories, and that the seed alone decides."""

from __future__ import annotations

import json
import random
from collections import Counter
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opabinia.data.curation.mixing import asked_counts
from opabinia.data.curation.selection import Selection, choose, curate
from opabinia.data.curation.settings import (
    CATEGORIES,
    CategoryTable,
    CurationConfig,
    published_presets,
    published_thresholds,
)
from opabinia.data.source_names import source_key
from opabinia.data.tables import read_table
from tests.data.curation.indexes import CAMBRIAN_10M, FILTERED, Row, index_of, rows_of, write_index

SMALL = {"ChartQA": 60, "DVQA": 300, "CLEVR": 120, "GQA": 80}
TABLE = read_table(CategoryTable, CATEGORIES)


def kept(selection: Selection, rows: list[Row]) -> list[Row]:
    return [rows[row] for row in selection.rows.tolist()]


def by_source(selection: Selection, rows: list[Row]) -> Counter[str | None]:
    return Counter(source for _, source, _ in kept(selection, rows))


# The limit of each source.


@settings(deadline=None)
@given(
    sizes=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 40), min_size=1),
    threshold=st.integers(1, 50),
    seed=st.integers(0, 3),
)
def test_each_source_keeps_as_many_as_the_limit_lets_through_in_their_order(
    sizes: dict[str, int], threshold: int, seed: int
) -> None:
    rows = rows_of(sizes)
    selection = choose(CurationConfig(threshold=threshold, seed=seed), index_of(rows, shard_size=7))
    assert by_source(selection, rows) == Counter({name: min(size, threshold) for name, size in sizes.items()})
    assert selection.rows.tolist() == sorted(selection.rows.tolist())


def test_a_larger_limit_keeps_what_a_smaller_one_does() -> None:
    index = index_of(rows_of(SMALL))
    chosen = [set(choose(CurationConfig(threshold=limit), index).rows.tolist()) for limit in (10, 50, 200, 1000)]
    assert chosen[0] < chosen[1] < chosen[2] < chosen[3] == set(range(560))


def test_nothing_asked_for_keeps_everything() -> None:
    assert choose(CurationConfig(), index_of(rows_of(SMALL))).rows.tolist() == list(range(560))


def test_what_a_limit_keeps_is_spread_evenly_over_its_source() -> None:
    rows = rows_of({"a": 20000})
    tenths = np.bincount(choose(CurationConfig(threshold=5000), index_of(rows)).rows // 2000)
    # Each tenth holds 500 on average, with a standard deviation of 18.
    assert tenths.min() > 400
    assert tenths.max() < 600


def test_records_that_all_have_one_id_are_drawn_from_evenly_too() -> None:
    rows: list[Row] = [("same", "a", None)] * 20000
    tenths = np.bincount(choose(CurationConfig(threshold=5000), index_of(rows)).rows // 2000)
    assert tenths.min() > 400
    assert tenths.max() < 600


# The seed alone decides.


@settings(max_examples=25, deadline=None)
@given(
    order=st.randoms(use_true_random=False),
    shard_size=st.integers(1, 600),
    wanted=st.sampled_from(
        [{"threshold": 50}, {"shares": {"ocr": 1, "counting": 1}}, {"preset": "cambrian-exp5", "shares": {"ocr": 1}}]
    ),
)
def test_neither_the_order_of_records_nor_their_shards_make_a_difference(
    order: random.Random, shard_size: int, wanted: dict[str, object]
) -> None:
    rows = rows_of(SMALL)
    config = CurationConfig.model_validate(wanted)
    expected = set(kept(choose(config, index_of(rows)), rows))
    order.shuffle(rows)
    assert set(kept(choose(config, index_of(rows, shard_size)), rows)) == expected


def test_another_seed_draws_others() -> None:
    index = index_of(rows_of(SMALL))
    one, again, other = (choose(CurationConfig(threshold=50, seed=seed), index).rows.tolist() for seed in (1, 1, 2))
    assert one == again != other


def test_the_draw_is_the_same_on_every_machine() -> None:
    selection = choose(CurationConfig(threshold=3, seed=7), index_of(rows_of({"a": 20})))
    lowest = sorted(range(20), key=lambda place: blake2b(f"7\0a\0a-{place}".encode(), digest_size=8).digest()[::-1])[:3]
    assert selection.rows.tolist() == sorted(lowest)


# Shares of categories.


def test_a_mix_has_the_shares_asked_for_to_the_record() -> None:
    rows = rows_of(SMALL)
    config = CurationConfig(shares={"ocr": 3, "counting": 2, "general": 1}, total=120)
    summary = choose(config, index_of(rows)).summary
    assert {count.category: (count.asked, count.kept, count.short) for count in summary.categories} == {
        "ocr": (60, 60, 0),
        "counting": (40, 40, 0),
        "general": (20, 20, 0),
    }


def test_a_category_with_too_few_records_gives_all_and_the_rest_what_was_asked() -> None:
    config = CurationConfig(shares={"ocr": 1, "counting": 1}, total=400)
    summary = choose(config, index_of(rows_of(SMALL))).summary
    assert {count.category: (count.asked, count.kept, count.short) for count in summary.categories} == {
        "ocr": (200, 200, 0),
        "counting": (200, 120, 80),
        "general": (0, 0, 0),
    }
    assert summary.kept == 320


def test_the_shares_can_be_kept_instead_of_the_total() -> None:
    config = CurationConfig(shares={"ocr": 1, "counting": 1}, total=400, shortfall="keep-shares")
    summary = choose(config, index_of(rows_of(SMALL))).summary
    assert [count.kept for count in summary.categories if count.asked] == [120, 120]


def test_after_a_limit_a_mix_draws_from_small_and_large_sources_alike() -> None:
    # The limit takes 3000 of each: half of what is kept must be of the source that lost nothing.
    rows = rows_of({"DVQA": 30000, "SynthDog": 3000})
    config = CurationConfig(threshold=3000, shares={"ocr": 1}, total=2000)
    counts = by_source(choose(config, index_of(rows)), rows)
    assert abs(counts["DVQA"] - 1000) < 120


def test_a_record_s_own_category_goes_before_the_table_s() -> None:
    rows: list[Row] = [(str(number), "ChartQA", "mine" if number % 2 else None) for number in range(40)]
    config = CurationConfig(shares={"mine": 1, "ocr": 1})
    assert choose(config, index_of(rows)).rows.tolist() == list(range(40))
    assert choose(CurationConfig(shares={"mine": 1}), index_of(rows)).rows.tolist() == list(range(1, 40, 2))


@given(
    shares=st.dictionaries(st.sampled_from("abcd"), st.floats(0.01, 100), min_size=1),
    available=st.dictionaries(st.sampled_from("abcd"), st.integers(1, 1000), min_size=4),
    total=st.none() | st.integers(1, 5000),
    keep=st.booleans(),
)
def test_counts_asked_for_add_up_and_are_within_one_of_their_share(
    shares: dict[str, float], available: dict[str, int], total: int | None, keep: bool
) -> None:
    asked = asked_counts(shares, available, total, "keep-shares" if keep else "take-all")
    whole = sum(asked.values())
    weight = sum(Fraction(str(share)) for share in shares.values())
    assert all(abs(asked[name] - whole * Fraction(str(share)) / weight) < 1 for name, share in shares.items())
    if total is not None and not keep:
        assert whole == total
    else:
        assert total is None or whole <= total
        assert all(asked[name] <= available[name] for name in asked)


def test_without_a_total_one_more_record_would_leave_a_category_short() -> None:
    available = {"a": 70, "b": 500}
    asked = asked_counts({"a": 1, "b": 6}, available, None, "take-all")
    assert asked == {"a": 70, "b": 420}


# What was published.


def test_the_paper_s_cambrian_7m_has_the_shares_of_its_preset() -> None:
    """The sizes in the paper's figure, less what it says was filtered, give the shares in its text to a tenth of a percent."""
    sizes = {**CAMBRIAN_10M, **FILTERED}
    totals = Counter[str]()
    for source, size in sizes.items():
        totals[TABLE.by_source[source_key(source)]] += round(10 * size)
    for category, share in published_presets()["cambrian-7m-paper"].shares.items():
        assert 100 * totals[category] / totals.total() == pytest.approx(share, abs=0.051), category


def test_the_largest_mix_of_cambrian_10m_with_the_paper_s_shares_is_about_seven_million() -> None:
    rows = rows_of(CAMBRIAN_10M)
    summary = choose(CurationConfig(preset="cambrian-7m-paper"), index_of(rows)).summary
    assert summary.records == pytest.approx(9746, abs=1)
    assert summary.kept == pytest.approx(7055, abs=20)
    assert all(count.short == 0 for count in summary.categories)


@pytest.mark.parametrize("name", [f"cambrian-exp{number}" for number in range(1, 6)])
def test_a_ratio_experiment_can_be_drawn_from_cambrian_10m(name: str) -> None:
    # In thousands, as the index is.
    summary = choose(CurationConfig(preset=name, total=1350), index_of(rows_of(CAMBRIAN_10M))).summary
    assert summary.kept == 1350
    preset = published_presets()[name]
    for count in summary.categories:
        assert count.kept == pytest.approx(1350 * preset.shares[count.category] / sum(preset.shares.values()), abs=1)


def test_the_presets_hold_the_published_numbers() -> None:
    presets = published_presets()
    assert published_thresholds() == [150_000, 250_000, 350_000, 450_000]
    assert presets["cambrian-7m-readme"].shares == presets["cambrian-exp5"].shares
    for number in range(1, 6):
        preset = presets[f"cambrian-exp{number}"]
        assert preset.total == 1_350_000
        assert sum(preset.shares.values()) == pytest.approx(100, abs=0.5)


def test_every_source_of_the_paper_has_a_category() -> None:
    assert {source_key(source) for source in CAMBRIAN_10M} <= set(TABLE.by_source)


# Settings.


def test_what_is_given_goes_before_the_preset() -> None:
    resolved = CurationConfig(preset="cambrian-exp1", total=70, threshold=9).resolved
    assert (resolved.total, resolved.threshold, resolved.shares["ocr"]) == (70, 9, 39.1)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"preset": "cambrian-exp6"}, "preset: unknown curation preset 'cambrian-exp6'; did you mean 'cambrian-exp"),
        ({"total": 5}, "total: is divided by shares, and there are none"),
        ({"shares": {"ocr": 0}}, "greater than 0"),
        ({"threshold": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wanted: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        CurationConfig.model_validate(wanted)


@pytest.mark.parametrize(
    ("source", "shares", "reason"),
    [
        ("ChartQA", {"orc": 1}, "shares: unknown category 'orc'; did you mean 'ocr'?"),
        ("novel", {"ocr": 1}, "categories: source 'novel' has no category; list it in a table of your own"),
        (None, {"ocr": 1}, "categories: source 'unknown' has no category"),
        ("ChartQA", {"ocr": 1, "math": 1}, "shares.math: there are no records of it"),
    ],
)
def test_shares_that_cannot_be_kept_are_refused(source: str | None, shares: dict[str, float], reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        choose(CurationConfig(shares=shares), index_of([("1", source, None)]))
    assert str(caught.value).startswith(reason)


def test_a_table_of_ones_own_gives_categories(tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"categories": {"mine": ["novel"], "theirs": ["ChartQA"]}}))
    rows: list[Row] = [("1", "novel", None), ("2", "chartqa_28k.json", None)]
    assert choose(CurationConfig(categories=own, shares={"mine": 1}), index_of(rows)).rows.tolist() == [0]


def test_a_source_in_two_categories_is_refused() -> None:
    with pytest.raises(ValueError, match="'chartqa_28k' is listed under 'ocr' and 'math'"):
        CategoryTable(categories={"ocr": ("ChartQA",), "math": ("chartqa_28k",)})


# The step.


def test_the_step_writes_rows_their_account_and_a_plot(tmp_path: Path) -> None:
    index = write_index(tmp_path / "index.arrow", index_of(rows_of(SMALL), shard_size=100))
    folder = tmp_path / "curated"
    folder.mkdir()
    selection = curate(CurationConfig(threshold=100), index, folder)
    assert np.load(folder / "rows.npy", allow_pickle=False).tolist() == selection.rows.tolist()
    account = json.loads((folder / "summary.json").read_text())
    assert (account["records"], account["kept"], account["settings"]["threshold"]) == (560, 340, 100)
    assert {entry["source"]: entry["kept"] for entry in account["sources"]} == {
        "ChartQA": 60, "GQA": 80, "CLEVR": 100, "DVQA": 100,
    }  # fmt: skip
    assert (folder / "sources.png").read_bytes().startswith(b"\x89PNG")
    assert {file.name for file in folder.iterdir()} == {"rows.npy", "summary.json", "sources.png"}


def test_the_step_names_a_column_that_the_index_lacks(tmp_path: Path) -> None:
    index = write_index(tmp_path / "index.arrow", index_of(rows_of(SMALL)).drop_columns(["category"]))
    with pytest.raises(ValueError, match="has no column 'category'"):
        curate(CurationConfig(), index, tmp_path)
