"""Reaching the MLflow server, also when it is away for a moment."""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

Result = TypeVar("Result")

PATIENCE_S = 30.0
"""How long a call waits for a server that does not answer, seconds."""

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 3.0
_GATEWAY_ERRORS = frozenset({502, 503, 504})
_NOT_ALLOWED = frozenset({401, 403})


class ServerAwayError(ValueError):
    """No MLflow server answers; one line that says where and what to do."""


def call(uri: str, action: Callable[[MlflowClient], Result], *, patience_s: float = PATIENCE_S) -> Result:
    """Run `action` against the server, after waiting for it with growing pauses.

    Raises ServerAwayError when the server stays away, ValueError when it does not let us in, and whatever MLflow raises when it
    refuses the action for another reason.
    """
    from mlflow.exceptions import MlflowException

    wait_for_server(uri, patience_s)
    try:
        return action(_client(uri))
    except MlflowException as error:
        if error.get_http_status_code() in _NOT_ALLOWED:
            raise ValueError(
                f"tracking.uri: the server at {uri} does not let us in; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
                "MLFLOW_TRACKING_TOKEN, in the environment of the job and its cluster, or correct the address"
            ) from None
        # MLflow has retried for minutes by now; say plainly what happened rather than show its connection trace.
        if not _answers(uri):
            raise _away(uri) from None
        raise


def wait_for_server(uri: str, patience_s: float) -> None:
    """Return as soon as the server answers; raises ServerAwayError after `patience_s` seconds without an answer."""
    deadline = time.monotonic() + patience_s
    pause = _FIRST_PAUSE_S
    while not _answers(uri):
        if time.monotonic() + pause > deadline:
            raise _away(uri)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def _answers(uri: str) -> bool:
    if not uri.startswith(("http://", "https://")):
        return True
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code not in _GATEWAY_ERRORS
    except (OSError, ValueError):
        return False


def _away(uri: str) -> ServerAwayError:
    return ServerAwayError(f"tracking.uri: no MLflow server answers at {uri}; start it with `make ui` or correct it")


@lru_cache(maxsize=8)
def _client(uri: str) -> MlflowClient:
    # A bar for every upload and two lines for every run that ends would bury what a job has to say.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)
