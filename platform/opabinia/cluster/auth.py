"""The token that every client of the local Ray head must show."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

_OWNER_ONLY = 0o600


def token_file(state_folder: Path, environment: Mapping[str, str]) -> Path:
    """Return a file that holds the user's own Ray token or, where there is none, a new one made for this folder.

    Looks where Ray itself looks, in the same order: RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token.
    Raises ValueError if RAY_AUTH_TOKEN_PATH names no readable token.
    """
    ours = state_folder / "auth_token"
    if token := environment.get("RAY_AUTH_TOKEN", "").strip():
        _write(ours, token)
        return ours
    if named := environment.get("RAY_AUTH_TOKEN_PATH"):
        return _checked(Path(named).expanduser().absolute())
    own = Path.home() / ".ray" / "auth_token"
    if own.is_file():
        return own
    if not ours.exists():
        # As long as the tokens that Ray generates.
        _write(ours, secrets.token_hex(32))
    return ours


def read_token(path: Path) -> str:
    """Return the token that a file holds."""
    return path.read_text().strip()


def _write(path: Path, token: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "w") as file:
        file.write(token)


def _checked(path: Path) -> Path:
    try:
        token = read_token(path)
    except OSError as error:
        raise ValueError(f"RAY_AUTH_TOKEN_PATH: {error.strerror}: {path}; unset it to have a token made") from None
    if not token:
        raise ValueError(f"RAY_AUTH_TOKEN_PATH: {path} is empty; unset it to have a token made")
    return path
