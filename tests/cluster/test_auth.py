"""Which token the local Ray head asks for."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from opabinia.cluster.auth import read_token, token_file


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("home")
def test_a_new_token_is_long_readable_by_its_owner_only_and_kept(state: Path) -> None:
    file = token_file(state, {})
    token = read_token(file)
    assert file.parent == state
    assert mode(file) == 0o600
    assert len(token) == 64
    assert read_token(token_file(state, {})) == token


@pytest.mark.usefixtures("home")
def test_two_folders_get_two_tokens(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert read_token(token_file(tmp_path / "a", {})) != read_token(token_file(tmp_path / "b", {}))


def test_the_users_own_token_is_used_where_it_is(home: Path, state: Path) -> None:
    own = home / ".ray" / "auth_token"
    own.parent.mkdir()
    own.write_text("mine")
    assert token_file(state, {}) == own
    assert list(state.iterdir()) == []


def test_a_token_file_in_the_environment_goes_before_the_users_own(home: Path, state: Path, tmp_path: Path) -> None:
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text("mine")
    named = tmp_path / "team_token"
    named.write_text("ours\n")
    assert read_token(token_file(state, {"RAY_AUTH_TOKEN_PATH": str(named)})) == "ours"


@pytest.mark.usefixtures("home")
def test_a_token_in_the_environment_goes_before_all_and_replaces_an_older_one(state: Path) -> None:
    token_file(state, {})
    file = token_file(state, {"RAY_AUTH_TOKEN": "secret", "RAY_AUTH_TOKEN_PATH": "/nowhere"})
    assert read_token(file) == "secret"
    assert mode(file) == 0o600


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_named_file_without_a_token_is_refused(state: Path, tmp_path: Path, content: str | None) -> None:
    named = tmp_path / "token"
    if content is not None:
        named.write_text(content)
    with pytest.raises(ValueError, match=r"^RAY_AUTH_TOKEN_PATH: ") as error:
        token_file(state, {"RAY_AUTH_TOKEN_PATH": str(named)})
    assert str(named) in str(error.value)
    assert "\n" not in str(error.value)
