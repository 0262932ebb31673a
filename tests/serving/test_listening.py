"""The service listens where it says, alone, and says how to be reached."""

from __future__ import annotations

import ast
import os
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opabinia.serving.config import ServingConfig
from opabinia.serving.deploy import deploy
from opabinia.serving.instructions import base_url, client_lines, curl_line
from opabinia.serving.listening import check_port_free, environment


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])
def test_a_busy_port_is_named_in_one_line(bound: str) -> None:
    with socket.socket() as listener:
        # As Ray Serve itself would bind: two such listeners share a port without noticing.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((bound, 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(
            ValueError, match=rf"^serving\.port: port {port} on 127\.0\.0\.1 is in use; .*--serving\.port$"
        ):
            check_port_free("127.0.0.1", port)
    check_port_free("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^serving\.host: cannot listen on 192\.0\.2\.77:8000"):
        check_port_free("192.0.2.77", 8000)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.9.1"])
def test_loopback_keeps_haproxy_away_which_listens_on_every_interface(host: str) -> None:
    assert environment(ServingConfig(host=host))["RAY_SERVE_ENABLE_HA_PROXY"] == "0"


def test_elsewhere_haproxy_is_the_operators_choice() -> None:
    assert environment(ServingConfig(host="0.0.0.0")) == {}


def test_the_default_is_this_machine_only() -> None:
    assert ServingConfig().host == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("localhost", "http://localhost:80"),
    ],
)
def test_the_address_can_be_opened(host: str, url: str) -> None:
    assert base_url(host, 80) == url


def test_the_curl_line_is_one_shell_command() -> None:
    words = shlex.split(curl_line("http://127.0.0.1:8000", "it's", "KEY"))
    assert words[:2] == ["curl", "http://127.0.0.1:8000/v1/chat/completions"]
    assert "Authorization: Bearer $KEY" in words
    assert "it's" in words[-1]


@pytest.mark.parametrize("key", [None, "KEY"])
def test_the_client_lines_are_python(key: str | None) -> None:
    lines = client_lines("http://127.0.0.1:8000", 'the "best"', key)
    assert ast.parse(lines)
    assert ('os.environ["KEY"]' in lines) == (key is not None)


def test_nothing_to_serve_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no model to serve"):
        deploy(ServingConfig(), {})
    with pytest.raises(ValueError, match="model 'm' has no folder"):
        deploy(ServingConfig(), {"m": tmp_path / "missing"})


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_key_that_is_not_set_is_refused(value: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if value is None:
        monkeypatch.delenv("OPABINIA_TEST_KEY", raising=False)
    else:
        monkeypatch.setenv("OPABINIA_TEST_KEY", value)
    with pytest.raises(ValueError, match=r"^serving\.api_key_env: environment variable OPABINIA_TEST_KEY is not set"):
        deploy(ServingConfig(api_key_env="OPABINIA_TEST_KEY"), {"m": tmp_path})


def test_settings_cost_no_heavy_import() -> None:
    code = "import sys, opabinia.serving.config; print(sorted({'ray', 'torch', 'fastapi', 'PIL'} & set(sys.modules)))"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"
    assert time.monotonic() - started < 5
