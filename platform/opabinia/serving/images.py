"""Pictures that arrive inside a request as data: URIs, checked before they are decoded."""

from __future__ import annotations

import base64
import binascii
import io
import re
import warnings
from typing import TYPE_CHECKING

from opabinia.serving.errors import ApiError, invalid

if TYPE_CHECKING:
    from PIL import Image

    from opabinia.serving.config import ServingConfig

# Pillow reads dozens of formats; these are OpenAI's, and the parsers of the others stay out of reach.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")

_HEADER = re.compile(r"data:(?P<media>[\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[\w.+-]+)*(?P<base64>;base64)?", re.IGNORECASE)
_MEDIA_TYPES = frozenset({"image/jpeg", "image/jpg", "image/png", "image/webp", "image/gif"})


def decode_image(url: str, config: ServingConfig, *, param: str) -> Image.Image:
    """Decode a data: URI to an RGB picture, upright; of an animation, the first frame.

    Raises ApiError (400), naming `param`, for a remote address (nothing is fetched on a client's behalf), broken
    base64, another format than JPEG, PNG, WebP or GIF, a file or picture above the limits, and a damaged file.
    """
    data = _decode_base64(_payload(url, param), config.max_image_bytes, param)
    picture = _open(data, param)
    width, height = picture.size
    if width * height > config.max_image_pixels:
        message = f"The image is {width} by {height} pixels; at most {config.max_image_pixels} in all are accepted."
        raise invalid(message, param=param, code="image_too_large")
    return _load(picture, param)


def _payload(url: str, param: str) -> str:
    """The base64 text of a data: URI."""
    scheme, colon, _ = url[:32].partition(":")
    if not colon or scheme.lower() != "data":
        message = "Images are not fetched from other servers; send the image itself as 'data:image/png;base64,…'."
        raise invalid(message, param=param, code="invalid_image_url")
    header, comma, payload = url.partition(",")
    match = _HEADER.fullmatch(header)
    if not comma or match is None or match["base64"] is None:
        raise invalid("Expected a data URI: 'data:image/png;base64,…'.", param=param, code="invalid_image_url")
    media = (match["media"] or "none").lower()
    if media not in _MEDIA_TYPES:
        message = f"Unsupported image type '{media}'; send JPEG, PNG, WebP or GIF."
        raise invalid(message, param=param, code="unsupported_image_media_type")
    return payload


def _decode_base64(payload: str, limit: int, param: str) -> bytes:
    if not payload:
        raise invalid("The image is empty.", param=param, code="empty_image_file")
    if len(payload) // 4 * 3 - 2 > limit:
        raise _file_too_large(limit, param)
    try:
        data = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("The image is not valid base64.", param=param, code="invalid_base64_image") from None
    if len(data) > limit:
        raise _file_too_large(limit, param)
    return data


def _file_too_large(limit: int, param: str) -> ApiError:
    message = f"The image file is larger than {limit} bytes."
    return invalid(message, param=param, code="image_file_too_large")


def _open(data: bytes, param: str) -> Image.Image:
    """Read the header alone: format and size, no pixels."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Our own limit follows; Pillow's warning about large pictures would only repeat it in the log.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise invalid("The image has too many pixels.", param=param, code="image_too_large") from None
    # A parser meeting hostile bytes may raise anything; whatever it is, the file is not a picture.
    except Exception:
        message = "The image cannot be read; send JPEG, PNG, WebP or GIF."
        raise invalid(message, param=param, code="invalid_image_format") from None


def _load(picture: Image.Image, param: str) -> Image.Image:
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(picture).convert("RGB")
    except Exception:
        raise invalid("The image is damaged.", param=param, code="image_parse_error") from None
