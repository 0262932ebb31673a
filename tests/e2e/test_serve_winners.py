"""The job that serves a champion: a registered checkpoint answers over HTTP until it is told to stop."""

from __future__ import annotations

import base64
import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai
import psutil
import pytest
from PIL import Image

from opabinia.tracking.champion import register_champion
from opabinia.tracking.mlflow_runs import open_sweep
from tests.e2e.mlflow_server import free_port
from tests.serving.pictures import asking, data_uri, picture_bytes

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Served:
    """A job that serves on `port`: what it printed, its folder and its process."""

    port: int
    printed: str
    folder: Path
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model whose connector has learnt nothing: its answers are words, though not good ones."""
    import torch

    from connectors.settings.sva import SvaSettings
    from opabinia.models.checkpoint import save_checkpoint
    from opabinia.models.language_models import load_language_model, load_tokenizer
    from opabinia.models.multimodal import MultimodalModel
    from opabinia.models.multimodal_config import ModelConfig

    torch.manual_seed(0)
    name = "burgess/language-model"
    encoders = ("burgess/caption-vit", "burgess/mim-vit")
    config = ModelConfig(encoders=encoders, connector=SvaSettings(queries=16), language_model=name)
    folder = tmp_path_factory.mktemp("trial") / "checkpoint"
    save_checkpoint(MultimodalModel(config, load_language_model(name)), load_tokenizer(name), folder)
    return folder


@pytest.fixture(scope="module")
def tracking_uri(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking database in which that checkpoint is the champion."""
    folder = tmp_path_factory.mktemp("tracking")
    uri = f"sqlite:///{folder}/mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run = open_sweep(uri, "opabinia", "sweep", sweep_id="sweep", params={})
        run.log_folder(checkpoint, "checkpoint")
        register_champion(uri, "opabinia", run.run_id, score=50.0)
        yield uri


def start(tmp_path: Path, *flags: str) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "platform"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {
        "PYTHONPATH": path,
        # A Ray instance of its own, whatever else runs on this machine.
        "RAY_ADDRESS": "local",
        "RAY_USAGE_STATS_ENABLED": "0",
        # An operator who runs HAProxy on the cluster must not thereby open this service to the network.
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
    }
    return subprocess.Popen(
        [sys.executable, ROOT / "jobs" / "serve_winners.py", "--output", tmp_path / "out", *flags],
        cwd=tmp_path,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def refusal(tmp_path: Path, *flags: str) -> str:
    job = start(tmp_path, *flags)
    _, complaints = job.communicate(timeout=120)
    assert job.returncode == 2, complaints
    assert "Traceback" not in complaints
    return complaints.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def served(tracking_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A running job; stopped as `ray job stop` stops one."""
    port = free_port()
    folder = tmp_path_factory.mktemp("job")
    job = start(folder, "--tracking.uri", tracking_uri, "--serving.port", str(port), "--serving.num_cpus", "0.5")
    assert job.stdout is not None
    lines = list[str]()
    while not lines or not lines[-1].startswith("serving until"):
        lines.append(job.stdout.readline())
        assert lines[-1], job.communicate(timeout=60)[1]
    yield Served(port, "".join(lines), folder, job.pid)
    job.send_signal(signal.SIGTERM)
    out, _ = job.communicate(timeout=60)
    assert job.returncode == 0
    assert "stopping" in out
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2)


def test_the_champion_answers_about_a_picture(served: Served) -> None:
    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0)
    question = asking("how many shapes are there?", data_uri(picture_bytes((64, 64))))
    answers = [client.chat.completions.create(model="opabinia", messages=question, max_tokens=8) for _ in range(2)]
    assert answers[0].choices[0].message.content == answers[1].choices[0].message.content
    usage = answers[0].usage
    assert usage is not None
    # 16 visual tokens stand where the placeholder was.
    assert usage.prompt_tokens > 16
    assert 0 <= usage.completion_tokens <= 8


def test_a_picture_sent_alone_or_in_company_gets_the_same_answer(served: Served) -> None:
    """Batches mix prompts with and without pictures, and of different lengths."""
    from concurrent.futures import ThreadPoolExecutor

    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0)
    shades = [data_uri(picture_bytes((64, 64), colour=(shade, 0, 255 - shade))) for shade in (0, 120, 250)]
    questions = [asking("what is it?", shade) for shade in shades] + [asking("is there a red circle? answer now")]

    def ask(messages: list[dict[str, object]]) -> str | None:
        answer = client.chat.completions.create(model="opabinia", messages=messages, max_tokens=6)
        return answer.choices[0].message.content

    alone = [ask(question) for question in questions]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, questions * 2))
    assert together == alone * 2


def test_what_the_job_prints_works_when_it_is_pasted(served: Served) -> None:
    (served.folder / "picture.jpg").write_bytes(picture_bytes((64, 64), kind="JPEG"))
    curl = next(line for line in served.printed.splitlines() if line.startswith("curl "))
    asked = subprocess.run(curl, shell=True, capture_output=True, text=True, check=True, timeout=60)
    assert '"object":"chat.completion"' in asked.stdout
    program = served.printed[served.printed.index("import base64") : served.printed.index("serving until")]
    answered = subprocess.run(
        [sys.executable, "-c", program], cwd=served.folder, capture_output=True, text=True, check=True, timeout=60
    )
    assert answered.stdout.endswith("\n")


def test_bad_pictures_get_error_bodies_and_the_service_goes_on(served: Served) -> None:
    noise = io.BytesIO()
    Image.effect_noise((64, 64), 60).save(noise, "PNG")
    broken = "data:image/png;base64," + base64.b64encode(noise.getvalue()[:-500]).decode()
    body = {"model": "opabinia", "messages": asking("what is it?", broken)}
    response = httpx.post(f"{served.url}/v1/chat/completions", json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "image_parse_error")
    assert httpx.get(f"{served.url}/health").json() == {"status": "ok", "models": ["opabinia"]}


def test_only_this_machine_can_connect(served: Served) -> None:
    family = psutil.Process(served.pid).children(recursive=True)
    assert not [process for process in family if "haproxy" in process.name()]
    sockets = [found for process in family for found in process.net_connections("tcp") if found.status == "LISTEN"]
    assert {found.laddr.ip for found in sockets if found.laddr.port == served.port} == {"127.0.0.1"}
    # HAProxy's own pages, and Ray Serve's direct ingress, which comes with it and listens from 30000 on.
    opened = {found.laddr.port for found in sockets if not found.laddr.ip.startswith("127.")}
    assert not opened & {8404, 9101, *range(30_000, 31_001)}


def test_a_busy_port_is_one_line_that_names_it(tracking_uri: str, tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        line = refusal(tmp_path, "--tracking.uri", tracking_uri, "--serving.port", str(port))
    assert line.startswith(f"serving.port: port {port} on 127.0.0.1 is in use")


def test_without_a_champion_there_is_nothing_to_serve(tracking_uri: str, tmp_path: Path) -> None:
    line = refusal(tmp_path, "--tracking.uri", tracking_uri, "--tracking.model_name", "nobody")
    assert line.startswith("tracking.model_name: 'nobody' has no champion")


def test_a_service_without_a_cluster_cannot_be_left_behind(tracking_uri: str, tmp_path: Path) -> None:
    line = refusal(tmp_path, "--tracking.uri", tracking_uri, "--detach", "true")
    assert line.startswith("detach: no Ray cluster is running")
