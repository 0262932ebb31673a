"""Small real pictures for tests."""

from __future__ import annotations

import base64
import io

from PIL import Image

RED = (200, 30, 30)


def picture_bytes(size: tuple[int, int] = (40, 30), *, kind: str = "PNG", colour: tuple[int, int, int] = RED) -> bytes:
    """A picture of one colour as a file."""
    handle = io.BytesIO()
    Image.new("RGB", size, colour).save(handle, kind)
    return handle.getvalue()


def data_uri(data: bytes, media: str = "image/png") -> str:
    """The file as OpenAI clients send it."""
    return f"data:{media};base64,{base64.b64encode(data).decode()}"


def asking(text: str, *uris: str) -> list[dict[str, object]]:
    """Messages with one question about pictures."""
    images = [{"type": "image_url", "image_url": {"url": uri}} for uri in uris]
    return [{"role": "user", "content": [*images, {"type": "text", "text": text}]}]
