"""What a user types to talk to the service, ready to copy."""

from __future__ import annotations

import json
from ipaddress import ip_address


def base_url(host: str, port: int) -> str:
    """Return the address of the service as seen from its own machine: "http://127.0.0.1:8000"."""
    try:
        address = ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        return f"http://{'127.0.0.1' if address.version == 4 else '[::1]'}:{port}"
    return f"http://{host}:{port}" if address.version == 4 else f"http://[{host}]:{port}"


def curl_line(url: str, model: str, api_key_env: str | None = None) -> str:
    """Return a shell command that asks `model` one question."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "how many shapes are there?"}]})
    key = f' -H "Authorization: Bearer ${api_key_env}"' if api_key_env else ""
    quoted = body.replace("'", "'\\''")
    return f"curl {url}/v1/chat/completions -H 'Content-Type: application/json'{key} -d '{quoted}'"


def client_lines(url: str, model: str, api_key_env: str | None = None) -> str:
    """Return a Python program that asks `model` about a picture with the openai client."""
    key = f'os.environ["{api_key_env}"]' if api_key_env else '"any"'
    return f"""\
import base64, {"os, " if api_key_env else ""}openai

client = openai.OpenAI(base_url="{url}/v1", api_key={key})
picture = base64.b64encode(open("picture.jpg", "rb").read()).decode()
content = [
    {{"type": "image_url", "image_url": {{"url": "data:image/jpeg;base64," + picture}}}},
    {{"type": "text", "text": "how many shapes are there?"}},
]
messages = [{{"role": "user", "content": content}}]
completion = client.chat.completions.create(model={json.dumps(model)}, messages=messages)
print(completion.choices[0].message.content)"""
