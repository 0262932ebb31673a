"""One source is known by all the ways its name is written, and a record of a bundle by its own data set."""

from __future__ import annotations

import pytest

from opabinia.data.source_names import record_source, source_key


@pytest.mark.parametrize(
    ("names", "key"),
    [
        (["Inter-GPS", "intergps", "inter_gps_1k.json", "INTER GPS"], "intergps"),
        (["ChartQA", "chartqa_28k.json", "chartqa_28k.jsonl", "chartqa.json"], "chartqa"),
        (["geo170k.json", "Geo170K"], "geo170k"),
        (["_28k.json", "_28K.JSON"], "_28k.json"),
    ],
)
def test_ways_of_writing_a_name_share_a_key(names: list[str], key: str) -> None:
    assert {source_key(name) for name in names} == {key}


@pytest.mark.parametrize(
    ("record", "source"),
    [
        ({"source": "idefics375k.json", "image": "hfdata/iconqa/a/1.png"}, "iconqa"),
        ({"source": "idefics375k.json", "image": "hfdata/1.png"}, "idefics375k.json"),
        ({"source": "idefics375k.json", "image": "other/iconqa/1.png"}, "idefics375k.json"),
        ({"source": "idefics375k.json"}, "idefics375k.json"),
        ({"source": "clevr_700k.json", "image": "hfdata/iconqa/1.png"}, "clevr_700k.json"),
        ({"source": 3}, "unknown"),
        ({"source": ""}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_the_source_of_a_record(record: dict[str, object], source: str) -> None:
    assert record_source(record) == source
