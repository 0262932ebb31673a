"""Real Ray Serve over HTTP, spoken to by the real openai client."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest
import ray

from opabinia.serving.config import ServingConfig
from opabinia.serving.deploy import deploy, stop
from tests.e2e.mlflow_server import free_port
from tests.serving.pictures import asking, data_uri, picture_bytes

pytestmark = pytest.mark.e2e

LOADER = "tests.serving.stand_in:load"
URI = data_uri(picture_bytes())


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def make_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp("model")
        (folder / "name.txt").write_text(name)
        return folder

    return make


@pytest.fixture(scope="module")
def serve_models(local_ray: None, port: int, make_folder: Callable[[str], Path]) -> Iterator[Callable[..., str]]:
    def serve(**fields: object) -> str:
        config = ServingConfig.model_validate({"port": port, "num_cpus": 0.5} | fields)
        folders = {"opabinia": make_folder("first"), "team/other": make_folder("second")}
        return deploy(config, folders, loader=LOADER)

    yield serve
    stop()


@pytest.fixture(scope="module")
def url(serve_models: Callable[..., str]) -> str:
    return serve_models(batch_wait_s=0.1)


@pytest.fixture(scope="module")
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="any key will do", max_retries=0)


def ask(client: openai.OpenAI, text: str, **fields: object) -> str:
    body = {"model": "opabinia", "messages": [{"role": "user", "content": text}]} | fields
    content = client.chat.completions.create(**body).choices[0].message.content
    assert content is not None
    return content


def test_the_client_finds_the_models(client: openai.OpenAI) -> None:
    assert [card.id for card in client.models.list()] == ["opabinia", "team/other"]
    assert client.models.retrieve("team/other").owned_by == "opabinia"


def test_a_question_about_a_picture(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model="opabinia", messages=asking("what is it?", URI), max_tokens=50)
    choice = completion.choices[0]
    assert choice.message.content == "first saw 40x30 #c81e1e: what is it?, turns=1, batch=1"
    assert choice.finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens > 0


def test_requests_go_to_the_model_they_name(client: openai.OpenAI) -> None:
    assert ask(client, "hello").startswith("first saw nothing")
    assert ask(client, "hello", model="team/other").startswith("second saw nothing")


def test_a_conversation_goes_on(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(model="opabinia", messages=asking("what is it?", URI)).choices[0].message
    messages = [*asking("what is it?", URI), first.model_dump(), {"role": "user", "content": "and now?"}]
    assert ask(client, "", messages=messages).endswith("and now?, turns=3, batch=1")


def test_an_answer_can_be_streamed(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="opabinia",
            messages=asking("what is it?", URI),
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    words = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(word or "" for word in words) == "first saw 40x30 #c81e1e: what is it?, turns=1, batch=1"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None


def test_the_asynchronous_client_works_too(url: str) -> None:
    async def stream() -> str:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
            events = await client.chat.completions.create(model="opabinia", messages=asking("hi"), stream=True)
            return "".join([event.choices[0].delta.content or "" async for event in events])

    assert asyncio.run(stream()) == "first saw nothing: hi, turns=1, batch=1"


def test_settings_reach_the_model(client: openai.OpenAI) -> None:
    drawn = [ask(client, "draw", temperature=1, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert ask(client, "draw") == " ".join("0" * 10)
    assert ask(client, "hello", stop=" nothing") == "first saw"
    assert ask(client, "hello", max_completion_tokens=1) == "first"


def test_requests_at_the_same_time_share_a_batch(client: openai.OpenAI) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda index: ask(client, f"question-{index}"), range(16)))
    assert all(f"question-{index}," in answer for index, answer in enumerate(answers))
    assert max(int(answer.rpartition("=")[2]) for answer in answers) > 1


@pytest.mark.parametrize(
    ("fields", "kind", "code"),
    [
        ({"model": "opabina"}, openai.NotFoundError, "model_not_found"),
        ({"n": 2}, openai.BadRequestError, "unsupported_parameter"),
        ({"max_tokens": 10**6}, openai.BadRequestError, "invalid_value"),
        ({"messages": asking("x", URI, URI)}, openai.BadRequestError, "too_many_images"),
        ({"messages": asking("x", "https://example.com/a.png")}, openai.BadRequestError, "invalid_image_url"),
        ({"messages": asking("x", URI[:-40])}, openai.BadRequestError, "image_parse_error"),
        ({"messages": asking("x", data_uri(picture_bytes((5000, 4000))))}, openai.BadRequestError, "image_too_large"),
        ({"messages": asking("x", data_uri(bytes((10 << 20) + 1)))}, openai.BadRequestError, "image_file_too_large"),
        ({"messages": asking("x" * (20 << 20))}, openai.APIStatusError, "request_too_large"),
        ({"messages": asking("word " * 300)}, openai.BadRequestError, "invalid_prompt"),
        ({"messages": asking("please crash")}, openai.InternalServerError, "internal_error"),
    ],
)
def test_the_client_raises_its_own_errors(
    client: openai.OpenAI, fields: dict[str, object], kind: type[openai.APIStatusError], code: str
) -> None:
    with pytest.raises(kind) as caught:
        ask(client, "hello", **fields)
    assert caught.value.code == code
    assert "melted" not in caught.value.message
    assert ask(client, "still there?").startswith("first saw")


def test_a_malformed_body_gets_an_error_body(url: str) -> None:
    headers = {"Content-Type": "application/json"}
    response = httpx.post(f"{url}/v1/chat/completions", content=b'{"model": ', headers=headers)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_json"
    assert httpx.get(f"{url}/v1/elsewhere").json()["error"]["code"] == "unknown_url"


def test_health(url: str) -> None:
    response = httpx.get(f"{url}/health")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "models": ["opabinia", "team/other"]}


def test_only_this_machine_can_connect(url: str, port: int) -> None:
    assert url == f"http://127.0.0.1:{port}"
    own_address = ray.util.get_node_ip_address()
    assert not own_address.startswith("127.")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((own_address, port), timeout=2)


def test_another_port_beside_the_running_service_is_refused(url: str, make_folder: Callable[[str], Path]) -> None:
    listening = url.rpartition(":")[2]
    with pytest.raises(ValueError, match=rf"^serving\.port: Ray Serve already listens on 127\.0\.0\.1:{listening}"):
        deploy(ServingConfig(port=free_port()), {"m": make_folder("m")}, loader=LOADER)


def test_deploying_again_replaces_what_was_served(
    url: str, serve_models: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPABINIA_TEST_KEY", "open sesame")
    limits = {"max_batch_size": 1, "max_queued_requests": 1, "request_timeout_s": 0.5}
    assert serve_models(api_key_env="OPABINIA_TEST_KEY", **limits) == url
    with pytest.raises(openai.AuthenticationError):
        ask(openai.OpenAI(base_url=f"{url}/v1", api_key="wrong"), "hello")
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="open sesame", max_retries=0)
    assert ask(client, "hello").startswith("first saw")
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client, "please sleep")
    assert (caught.value.status_code, caught.value.code) == (504, "timeout")


def test_a_full_queue_turns_requests_away(url: str, serve_models: Callable[..., str]) -> None:
    serve_models(max_batch_size=1, max_queued_requests=1)
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0)

    def status(_: int) -> int:
        try:
            ask(client, "please sleep")
        except openai.InternalServerError as error:
            assert error.code == "overloaded"
            assert error.response.headers["retry-after"] == "1"
            return error.status_code
        return 200

    with ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(status, range(12)))
    assert set(statuses) == {200, 503}
    assert ask(client, "hello").startswith("first saw")


def test_a_model_that_cannot_be_loaded_is_one_clear_line(url: str, port: int, tmp_path: Path) -> None:
    config = ServingConfig(port=port, num_cpus=0.5, startup_timeout_s=60)
    with pytest.raises(ValueError, match=r"^serving: model-0-m did not start: .*name\.txt") as caught:
        deploy(config, {"m": tmp_path}, loader=LOADER)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"^serving: model-0-m did not start: loader: cannot import 'no\.such:thing'"):
        deploy(config, {"m": tmp_path}, loader="no.such:thing")


def test_a_model_that_finds_no_room_is_given_up(url: str, port: int, make_folder: Callable[[str], Path]) -> None:
    config = ServingConfig(port=port, num_cpus=64, startup_timeout_s=3)
    with pytest.raises(ValueError, match=r"^serving\.startup_timeout_s: not ready after 3 seconds") as caught:
        deploy(config, {"m": make_folder("m")}, loader=LOADER)
    assert "a replica takes 64 CPUs" in str(caught.value)


def test_stopping_closes_the_port(url: str, port: int) -> None:
    started = time.monotonic()
    stop()
    assert time.monotonic() - started < 30
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2)
