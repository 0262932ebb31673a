"""Wildcards mean what they mean in Python's own glob."""

from __future__ import annotations

import glob
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opabinia.storage.patterns import fixed_start, has_wildcard, leads_to_matches, matches

NAMES = ["a", "b", "ab", ".a", "a.b", "[", "c-"]
PARTS = [*NAMES, "*", "**", "?", "a*", "*b", ".*", "[ab]", "[!a]", "[", "*.b", "[c-]?"]

paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join)
patterns = st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map("/".join)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.sets(paths, max_size=5), pattern=patterns)
def test_matches_are_those_of_glob(tmp_path_factory: pytest.TempPathFactory, names: set[str], pattern: str) -> None:
    folder = tmp_path_factory.mktemp("g")
    files = sorted(name for name in names if not any(other.startswith(name + "/") for other in names))
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    # For `a/**` Python's glob also returns `a/` itself, even where a is a file.
    found = {name for name in glob.glob(pattern, root_dir=folder, recursive=True) if not name.endswith("/")}
    assert [name for name in files if matches(name, pattern)] == sorted(found & set(files))


@given(name=paths, pattern=patterns)
def test_folders_above_a_match_lead_to_it(name: str, pattern: str) -> None:
    if matches(name, pattern):
        assert name.startswith(fixed_start(pattern))
        assert all(leads_to_matches(str(above), pattern) for above in list(Path(name).parents)[:-1])


@pytest.mark.parametrize(("folder", "pattern"), [("b", "a/*"), ("a/b", "*/x"), ("a/b", "a/c/**"), ("a", "*")])
def test_folders_that_lead_nowhere_are_known(folder: str, pattern: str) -> None:
    assert not leads_to_matches(folder, pattern)


@pytest.mark.parametrize(
    ("text", "wild"), [("a/b", False), ("a/*.b", True), ("a?", True), ("[ab]", True), ("a]", False)]
)
def test_what_is_a_pattern(text: str, wild: bool) -> None:
    assert has_wildcard(text) == wild
